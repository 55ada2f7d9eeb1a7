#include "web/site.h"

#include <exception>

#include "web/api/json.h"
#include "web/assets.h"
#include "web/pages/frame.h"
#include "web/pages/parts.h"

namespace postpone::web {
namespace {

constexpr const char* kJson = "application/json";

// The number where the pattern has {id}; 0 where it has none; nothing where the path is another one.
std::optional<std::int64_t> match(std::string_view pattern, std::string_view path) {
  constexpr std::string_view kId = "{id}";
  if (!pattern.ends_with(kId)) return pattern == path ? std::optional<std::int64_t>(0) : std::nullopt;
  const std::string_view before = pattern.substr(0, pattern.size() - kId.size());
  if (!path.starts_with(before)) return std::nullopt;
  return parse_id(path.substr(before.size()));
}

std::string known_theme(const std::string& theme) {
  return theme == "light" || theme == "dark" ? theme : "";
}

FrameOptions frame_options(const Request& request, bool is_live) {
  return {known_theme(request.theme), is_local_path(request.target) ? request.target : "/", is_live};
}

Response page_response(const Request& request, const Page& page) {
  Response response;
  response.status = page.status;
  response.location = page.location;
  if (page.location.empty()) response.body = framed(page, frame_options(request, page.status == 200));
  return response;
}

Page fault_page(Section section, int status, std::string_view title, std::string_view why) {
  return {.section = section,
          .title = std::string(title),
          .main = html("<div class=\"head\"><h1>{}</h1></div>{}", title,
                       notice("note bad", why,
                              "Nothing was changed; this page only reads. Load it again to try again.")),
          .status = status};
}

Response json_fault(int status, std::string_view why) {
  Response response;
  response.status = status;
  response.content_type = kJson;
  JsonWriter json;
  json.object([&] { json.field("error", why); });
  response.body = json.take() + "\n";
  return response;
}

Response fault_response(const Request& request, int status, std::string_view title, std::string_view why) {
  if (request.path.starts_with("/api/")) return json_fault(status, why);
  return page_response(request, fault_page(Section::overview, status, title, why));
}

Response theme_answer(const Request& request) {
  const std::string theme = known_theme(request.query.get("theme"));
  const std::string back = request.query.get("back");
  Response response;
  response.status = 303;
  response.location = is_local_path(back) ? back : "/";
  response.set_cookie =
      "theme=" + theme + "; Path=/; SameSite=Lax; Max-Age=" + (theme.empty() ? "0" : "31536000");
  return response;
}

Response follow_answer(const Request& request) {
  const std::string page = request.query.get("page");
  const auto target = parse_target(page);
  const auto found = target ? find_route(target->path) : std::nullopt;
  if (!found || found->is_json || page.size() > 8192) return refusal(404, "there is no such page to follow");
  Response response;
  response.content_type = "text/event-stream";
  response.follow = page;
  return response;
}

Response text_answer(std::string_view content_type, std::string content, bool is_immutable) {
  Response response;
  response.content_type = std::string(content_type);
  response.body = std::move(content);
  response.is_immutable = is_immutable;
  return response;
}

}  // namespace

const std::vector<Route>& routes() {
  static const std::vector<Route> all = {{"/", "/api/overview", overview_page, overview_json},
                                         {"/jobs", "/api/jobs", jobs_page, jobs_json},
                                         {"/jobs/{id}", "/api/jobs/{id}", job_page, job_json},
                                         {"/failures", "/api/failures", failures_page, failures_json},
                                         {"/queues", "/api/queues", queues_page, queues_json},
                                         {"/tasks", "/api/tasks", tasks_page, tasks_json},
                                         {"/locks", "/api/locks", locks_page, locks_json},
                                         {"/schedules", "/api/schedules", schedules_page, schedules_json},
                                         {"/workers", "/api/workers", workers_page, workers_json}};
  return all;
}

std::optional<Found> find_route(std::string_view path) {
  for (const Route& route : routes()) {
    if (const auto id = match(route.path, path)) return Found{&route, false, *id};
    if (const auto id = match(route.json_path, path)) return Found{&route, true, *id};
  }
  return std::nullopt;
}

std::optional<Response> answer_at_once(const Request& request) {
  if (const Asset* asset = find_asset(request.path))
    return text_answer(asset->content_type, std::string(asset->content), !request.query.get("v").empty());
  if (request.path == "/theme") return theme_answer(request);
  if (request.path == "/live") return follow_answer(request);
  if (request.path == "/api/openapi.json") return text_answer(kJson, std::string(openapi()), false);
  if (find_route(request.path)) return std::nullopt;
  return fault_response(request, 404, "No such page", "There is nothing at this address.");
}

Response answer_from(Database& database, const Request& request) {
  const Found found = find_route(request.path).value();
  try {
    return database.ask([&](sql::Fleet& fleet) {
      const Visit visit{request.query, found.id, fleet};
      if (!found.is_json) return page_response(request, found.route->page(visit));
      Json json = found.route->json(visit);
      Response response = text_answer(kJson, std::move(json.text), false);
      response.status = json.status;
      return response;
    });
  } catch (const Unavailable& fault) {
    return fault_response(request, 503, "Not available", fault.what());
  } catch (const std::exception& fault) {
    return fault_response(request, 500, "This page cannot be made", fault.what());
  }
}

LivePage live_page_from(Database& database, const std::string& target) {
  try {
    const auto parsed = parse_target(target);
    const auto found = find_route(parsed.value().path);
    return database.ask([&](sql::Fleet& fleet) {
      return LivePage{found.value().route->page(Visit{parsed->query, found->id, fleet}).main.text(), ""};
    });
  } catch (const std::exception& fault) {
    return {"", fault.what()};
  }
}

Response busy_answer(const Request& request) {
  return fault_response(request, 503, "Too busy", "Too many pages wait for the database already.");
}

}  // namespace postpone::web
