#include "supervisor/crew/roster.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace postpone::supervisor {

Roster::Roster(MemberId members, const RosterPolicy& policy, Clock::time_point now)
    : policy_(policy), unwanted_(members) {
  records_.assign(members, Record{.since = now, .backoff = {policy.backoff_first, policy.backoff_most}});
}

MemberId Roster::wanted() const {
  return static_cast<MemberId>(std::count(unwanted_.begin(), unwanted_.end(), false));
}

void Roster::want(MemberId member, Clock::time_point now) {
  records_[member] = Record{.since = now, .backoff = {policy_.backoff_first, policy_.backoff_most}};
  unwanted_[member] = false;
}

void Roster::set_policy(const RosterPolicy& policy) {
  const bool same_backoff =
      policy.backoff_first == policy_.backoff_first && policy.backoff_most == policy_.backoff_most;
  policy_ = policy;
  if (same_backoff) return;
  for (Record& record : records_) record.backoff = {policy.backoff_first, policy.backoff_most};
}

std::vector<MemberId> Roster::to_spawn(Clock::time_point now) const {
  std::vector<MemberId> members;
  for (MemberId m = 0; m < size(); ++m)
    if (records_[m].state == State::absent && !unwanted_[m] && records_[m].since <= now) members.push_back(m);
  return members;
}

std::optional<std::string> Roster::overdue(MemberId member, Clock::time_point now,
                                           Clock::time_point last_beat) const {
  const Record& record = records_[member];
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  // A heartbeat of the incarnation before does not count against this one.
  const auto silent = duration_cast<milliseconds>(now - std::max({last_beat, record.since, judge_from_}));
  if (silent > record.silence_limit) return fmt::format("no sign of life for {} ms", silent.count());
  const auto age = duration_cast<milliseconds>(now - std::max(record.since, judge_from_));
  if (record.state == State::starting && !record.started && age > record.start_deadline)
    return fmt::format("not ready after {} ms", age.count());
  return std::nullopt;
}

void Roster::spawned(MemberId member, Clock::time_point now) {
  Record& record = records_[member];
  record.state = State::starting;
  record.killed = false;
  record.started = false;
  record.lease = 0;
  record.since = now;
  record.start_deadline = policy_.start_deadline;
  record.silence_limit = is_housekeeper(member) ? policy_.housekeeper_silence_limit : policy_.silence_limit;
}

void Roster::ready(MemberId member) {
  Record& record = records_[member];
  if (record.state != State::starting) return;
  record.state = State::serving;
  record.backoff.reset();
}

void Roster::ended(MemberId member, Clock::time_point now, double chance, End end) {
  constexpr int kFailuresOfRefused = 5;  // it waits as after so many bad starts: 3 s, by the default policy
  Record& record = records_[member];
  const bool at_once = end == End::forgiven || (end == End::failed && record.state == State::serving);
  while (end == End::refused && record.backoff.failures() < kFailuresOfRefused) record.backoff.next(chance);
  record.state = State::absent;
  record.killed = false;
  record.started = false;
  record.lease = 0;
  record.since = at_once ? now : now + record.backoff.next(chance);
}

void Roster::hold_back(MemberId member, Clock::time_point until) {
  records_[member].since = std::max(records_[member].since, until);
}

// One bad start may be chance, such as a kill during start-up, so a member counts as failing from the second
// on.
MemberId Roster::failing() const {
  MemberId failing = 0;
  for (MemberId m = 0; m < size(); ++m)
    failing += !unwanted_[m] && records_[m].backoff.failures() > 1 ? 1 : 0;
  return failing;
}

std::optional<Clock::time_point> Roster::spawn_at(MemberId member) const {
  if (records_[member].state != State::absent || unwanted_[member]) return std::nullopt;
  return records_[member].since;
}

std::optional<Clock::time_point> Roster::next_deadline() const {
  std::optional<Clock::time_point> next;
  for (MemberId m = 0; m < size(); ++m) {
    const Record& record = records_[m];
    if (record.killed || record.started || (record.state == State::absent && unwanted_[m])) continue;
    const auto at = record.state == State::starting
                        ? std::max(record.since, judge_from_) + record.start_deadline
                        : record.since;
    if (record.state != State::serving && (!next || at < *next)) next = at;
  }
  return next;
}

}  // namespace postpone::supervisor
