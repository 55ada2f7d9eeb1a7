// What the supervisor knows by itself, for the status socket.
#include <unistd.h>

#include "supervisor/supervisor.h"

namespace postpone::supervisor {
namespace {

std::int64_t to_ns(Clock::time_point at) {
  return std::chrono::nanoseconds(at.time_since_epoch()).count();
}
std::int64_t to_ns(const std::optional<Clock::time_point>& at) {
  return at ? to_ns(*at) : 0;
}

const char* to_string(sql::Listener::State state) {
  switch (state) {
    case sql::Listener::State::waiting:
      return "waiting";
    case sql::Listener::State::connecting:
      return "connecting";
    case sql::Listener::State::listening:
      return "listening";
  }
  return "unknown";
}

status::Listen listen_facts(bool wanted, const std::optional<Listening>& listening) {
  status::Listen listen;
  listen.wanted = wanted;
  listen.connection = "waiting";
  if (!listening) return listen;
  const auto facts = listening->facts();
  listen.connection = to_string(facts.state);
  listen.since_ns = to_ns(facts.since);
  listen.reconnects = facts.reconnects;
  listen.notifications = facts.notifications;
  listen.last_notification_ns = to_ns(facts.last_notification);
  listen.last_probe_ns = to_ns(facts.last_probe);
  if (facts.failed_at) listen.last_error = status::Trouble{to_ns(*facts.failed_at), facts.failure};
  return listen;
}

}  // namespace

// The preflight takes its time when the database is away, and people want to see that.
void Supervisor::open_desk() {
  if (config_.status.socket.empty()) return;
  desk_.emplace(loop_, config_, board_, [this] { return known(); });
}

status::Desk::Who Supervisor::who(MemberId member) const {
  return {member == housekeeper() ? std::nullopt : std::optional(member), name_of(member)};
}

status::Starting Supervisor::starting(MemberId member) const {
  // Before the preflight has ended nobody is started, and when it ends is not known.
  return {roster_.failures(member), phase_ == Phase::preflight ? 0 : to_ns(roster_.spawn_at(member))};
}

status::Known Supervisor::known() const {
  status::Known known;
  known.phase = phase_ == Phase::preflight ? status::Phase::preflight
                : phase_ == Phase::working ? status::Phase::working
                                           : status::Phase::draining;
  known.paused = paused_;
  known.process.version = POSTPONE_VERSION;
  known.process.name = family_.supervisor;
  known.process.pid = ::getpid();
  known.process.started_ns = to_ns(started_);
  known.process.started_unix_ns = started_unix_ns_;
  known.process.config_file = options_.config_path;
  known.process.last_reload = last_reload_;
  known.listen = listen_facts(config_.database.listen, listening_);
  for (std::uint32_t i = 0; i < slots_; ++i)
    known.places.push_back({tenures_[i].group, group_of_[i] != board::kNoGroup || children_[i] != nullptr,
                            tenures_[i].told, starting(i)});
  known.housekeeper = starting(housekeeper());
  known.preflight_trouble = preflight_trouble_;
  return known;
}

}  // namespace postpone::supervisor
