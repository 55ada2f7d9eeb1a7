#include "supervisor/status/routes.h"

#include <array>

#include "supervisor/status/json.h"
#include "supervisor/status/metrics.h"

namespace postpone::supervisor::status {
namespace {

using Look = std::function<View()>;

constexpr const char* kText = "text/plain; charset=utf-8";

Response status_page(const Look& look) {
  const View view = look();
  return {200, "application/json", to_json(view.snapshot, view.judgement)};
}

Response metrics_page(const Look& look) {
  const View view = look();
  return {200, "text/plain; version=0.0.4; charset=utf-8", to_metrics(view.snapshot, view.judgement)};
}

// That it answers is the answer.
Response healthz(const Look&) {
  return {200, kText, "ok\n"};
}

Response readyz(const Look& look) {
  const std::string why_not = look().judgement.not_ready;
  return why_not.empty() ? Response{200, kText, "ready\n"}
                         : Response{503, kText, "not ready: " + why_not + "\n"};
}

Response events(const Look&) {
  Response response;
  response.content_type = "text/event-stream";
  response.follow = true;
  return response;
}

struct Route {
  std::string_view path;
  Response (*answer)(const Look&);
};
constexpr std::array<Route, 5> kRoutes{{{"/status", status_page},
                                        {"/metrics", metrics_page},
                                        {"/healthz", healthz},
                                        {"/readyz", readyz},
                                        {"/events", events}}};

}  // namespace

Response refusal(int status, std::string_view why) {
  return {status, kText, std::string(why) + "\n"};
}

Response route(std::string_view method, std::string_view target, const Look& look) {
  const std::string_view path = target.substr(0, target.find('?'));
  for (const Route& route : kRoutes) {
    if (path != route.path) continue;
    if (method == "GET" || method == "HEAD") return route.answer(look);
    Response response = refusal(405, "nothing can be changed here: GET and HEAD only");
    response.allow = "GET, HEAD";
    return response;
  }
  return refusal(404, "there are /status, /metrics, /healthz, /readyz and /events");
}

}  // namespace postpone::supervisor::status
