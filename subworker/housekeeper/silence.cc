#include "subworker/housekeeper/silence.h"

#include <algorithm>
#include <utility>

namespace postpone::subworker {

// A worker with our heartbeat_interval may have been cut off together with us, and its next heartbeat may be
// one interval away. So the wait begins anew when our own heartbeat was late by more than that.
void Silence::heartbeat_stored(Clock::time_point now) {
  if (now - heartbeat_at_ > longest_own_silence()) good_since_ = now;
  heartbeat_at_ = now;
}

bool Silence::may_judge(Clock::time_point seen_since, Clock::time_point now) const {
  return now - heartbeat_at_ <= longest_own_silence() &&
         now - std::max(good_since_, seen_since) >= stalled_after_;
}

void Silence::heard(const std::map<sql::WorkerId, std::int64_t>& heartbeats_us, Clock::time_point now) {
  std::map<sql::WorkerId, Heard> heard;
  for (const auto& [worker, at_us] : heartbeats_us) {
    const auto before = heard_.find(worker);
    const bool same = before != heard_.end() && before->second.at_us == at_us;
    heard[worker] = same ? before->second : Heard{at_us, now};
  }
  heard_ = std::move(heard);
}

bool Silence::is_silent(sql::WorkerId worker, Clock::time_point now) const {
  const auto heard = heard_.find(worker);
  return heard != heard_.end() && now - heard->second.since >= stalled_after_;
}

}  // namespace postpone::subworker
