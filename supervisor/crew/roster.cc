#include "supervisor/crew/roster.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace postpone::supervisor {

Roster::Roster(MemberId members, const RosterPolicy& policy, Clock::time_point now)
    : policy_(policy), unwanted_(members) {
  seats_.assign(members, Seat{.since = now, .backoff = {policy.backoff_first, policy.backoff_most}});
}

MemberId Roster::wanted() const {
  return static_cast<MemberId>(std::count(unwanted_.begin(), unwanted_.end(), false));
}

void Roster::want(MemberId member, Clock::time_point now) {
  seats_[member] = Seat{.since = now, .backoff = {policy_.backoff_first, policy_.backoff_most}};
  unwanted_[member] = false;
}

void Roster::set_policy(const RosterPolicy& policy) {
  const bool same_backoff =
      policy.backoff_first == policy_.backoff_first && policy.backoff_most == policy_.backoff_most;
  policy_ = policy;
  if (same_backoff) return;
  for (Seat& seat : seats_) seat.backoff = {policy.backoff_first, policy.backoff_most};
}

std::vector<MemberId> Roster::to_spawn(Clock::time_point now) const {
  std::vector<MemberId> members;
  for (MemberId m = 0; m < size(); ++m)
    if (seats_[m].state == State::absent && !unwanted_[m] && seats_[m].since <= now) members.push_back(m);
  return members;
}

std::optional<std::string> Roster::overdue(MemberId member, Clock::time_point now,
                                           Clock::time_point last_beat) const {
  const Seat& seat = seats_[member];
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  // A heartbeat of the incarnation before does not count against this one.
  const auto silent = duration_cast<milliseconds>(now - std::max({last_beat, seat.since, judge_from_}));
  if (silent > seat.silence_limit) return fmt::format("no sign of life for {} ms", silent.count());
  const auto age = duration_cast<milliseconds>(now - std::max(seat.since, judge_from_));
  if (seat.state == State::starting && !seat.started && age > seat.start_deadline)
    return fmt::format("not ready after {} ms", age.count());
  return std::nullopt;
}

void Roster::spawned(MemberId member, Clock::time_point now) {
  Seat& seat = seats_[member];
  seat.state = State::starting;
  seat.killed = false;
  seat.started = false;
  seat.lease = 0;
  seat.since = now;
  seat.start_deadline = policy_.start_deadline;
  seat.silence_limit = is_housekeeper(member) ? policy_.housekeeper_silence_limit : policy_.silence_limit;
}

void Roster::ready(MemberId member) {
  Seat& seat = seats_[member];
  if (seat.state != State::starting) return;
  seat.state = State::serving;
  seat.backoff.reset();
}

void Roster::ended(MemberId member, Clock::time_point now, double chance, End end) {
  constexpr int kFailuresOfRefused = 5;  // 100 ms, doubled so often
  Seat& seat = seats_[member];
  const bool at_once = end == End::forgiven || (end == End::failed && seat.state == State::serving);
  while (end == End::refused && seat.backoff.failures() < kFailuresOfRefused) seat.backoff.next(chance);
  seat.state = State::absent;
  seat.killed = false;
  seat.started = false;
  seat.lease = 0;
  seat.since = at_once ? now : now + seat.backoff.next(chance);
}

// Once may be an accident, of a kill that hit it on its way up, say.
MemberId Roster::failing() const {
  MemberId failing = 0;
  for (MemberId m = 0; m < size(); ++m) failing += !unwanted_[m] && seats_[m].backoff.failures() > 1 ? 1 : 0;
  return failing;
}

std::optional<Clock::time_point> Roster::spawn_at(MemberId member) const {
  if (seats_[member].state != State::absent || unwanted_[member]) return std::nullopt;
  return seats_[member].since;
}

std::optional<Clock::time_point> Roster::next_deadline() const {
  std::optional<Clock::time_point> next;
  for (MemberId m = 0; m < size(); ++m) {
    const Seat& seat = seats_[m];
    if (seat.killed || seat.started || (seat.state == State::absent && unwanted_[m])) continue;
    const auto at =
        seat.state == State::starting ? std::max(seat.since, judge_from_) + seat.start_deadline : seat.since;
    if (seat.state != State::serving && (!next || at < *next)) next = at;
  }
  return next;
}

}  // namespace postpone::supervisor
