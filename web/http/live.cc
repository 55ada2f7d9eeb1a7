#include "web/http/live.h"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <list>

namespace postpone::web {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Error = boost::system::error_code;

constexpr std::size_t kMostFollowers = 64;
constexpr Clock::duration kShortestPause = 2s;
constexpr Clock::duration kLongestPause = 60s;
constexpr int kShareOfTime = 100;
// A follower may lag behind by twice as much: one that keeps up is never dropped for the length of a page.
constexpr std::size_t kLongestEvent = std::size_t{1024} * 1024;

}  // namespace

struct Live::Topic {
  Topic(boost::asio::io_context& context, std::string address) : page(std::move(address)), timer(context) {}

  std::string page;
  boost::asio::steady_timer timer;
  Clock::duration pause = kShortestPause;
  std::list<std::shared_ptr<Connection>> followers;
};

Live::~Live() {
  for (auto& [page, topic] : topics_) {
    topic->followers.clear();
    topic->timer.cancel();
  }
}

bool Live::follow(const std::string& page, const std::shared_ptr<Connection>& connection) {
  std::size_t followers = 0;
  for (const auto& [other, topic] : topics_) followers += topic->followers.size();
  if (followers >= kMostFollowers) return false;
  auto& topic = topics_[page];
  const bool is_new = topic == nullptr;
  if (is_new) topic = std::make_shared<Topic>(context_, page);
  topic->followers.push_back(connection);
  if (is_new) refresh_later(topic);
  return true;
}

void Live::forget(const Connection& connection) {
  for (auto at = topics_.begin(); at != topics_.end();) {
    at->second->followers.remove_if([&](const auto& other) { return other.get() == &connection; });
    if (at->second->followers.empty()) {
      at->second->timer.cancel();
      at = topics_.erase(at);
    } else {
      ++at;
    }
  }
}

void Live::refresh_later(const std::shared_ptr<Topic>& topic) {
  topic->timer.expires_after(topic->pause);
  topic->timer.async_wait([this, topic](const Error& error) {
    if (!error && !topic->followers.empty()) refresh(topic);
  });
}

void Live::refresh(const std::shared_ptr<Topic>& topic) {
  const Clock::time_point begun = Clock::now();
  make_(topic->page, [this, topic, begun](const LivePage& page) {
    if (topic->followers.empty()) return;
    topic->pause =
        std::clamp<Clock::duration>((Clock::now() - begun) * kShareOfTime, kShortestPause, kLongestPause);
    const auto event = std::make_shared<const std::string>(event_of(page));
    const auto followers = topic->followers;  // a slow one leaves the list
    for (const auto& follower : followers) follower->send_event(event);
    if (!topic->followers.empty()) refresh_later(topic);
  });
}

std::string event_of(const LivePage& page) {
  std::string event = page.fault.empty() ? "event: page\n" : "event: stale\n";
  std::string_view rest = page.fault.empty() ? page.markup : page.fault;
  do {
    const std::string_view line = rest.substr(0, rest.find_first_of("\r\n"));
    event.append("data: ").append(line).append("\n");
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  } while (!rest.empty());
  if (event.size() > kLongestEvent)
    return event_of({"", "This page is too long to be followed; load it again."});
  return event + "\n";
}

}  // namespace postpone::web
