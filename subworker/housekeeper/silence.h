// Which workers count as silent, and whether this housekeeper may say so. Pure: time is an argument.
//
// After an outage every worker looks silent, those that beat over the same server as we do as well. So no
// worker is judged before our connection, and our own heartbeats over it, have been good for as long as
// others are given. And a worker counts as silent by our own clock only: the server's clock may be set
// forward, and then each last heartbeat is old.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>

#include "config/config.h"
#include "sql/job.h"

namespace postpone::subworker {

class Silence {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Silence(const config::Supervisor& config)
      : stalled_after_(config.stalled_after), heartbeat_interval_(config.heartbeat_interval) {}

  // There is a new connection.
  void connected(Clock::time_point now) { good_since_ = heartbeat_at_ = now; }
  // Our own heartbeats are in the database.
  void heartbeat_stored(Clock::time_point now);
  // When each worker was last heard of, by the server's clock.
  void heard(const std::map<sql::WorkerId, std::int64_t>& heartbeats_us, Clock::time_point now);

  // May one that we have seen silent since then be judged?
  bool may_judge(Clock::time_point seen_since, Clock::time_point now) const;
  // Has no heartbeat of this worker come, as far as we have seen, for as long as it is given?
  bool is_silent(sql::WorkerId worker, Clock::time_point now) const;

 private:
  struct Heard {
    std::int64_t at_us;
    Clock::time_point since;  // by our clock, it is the last one
  };

  Clock::duration longest_own_silence() const { return stalled_after_ - heartbeat_interval_; }

  const Clock::duration stalled_after_;
  const Clock::duration heartbeat_interval_;
  Clock::time_point good_since_;
  Clock::time_point heartbeat_at_;  // when our own was last stored
  std::map<sql::WorkerId, Heard> heard_;
};

}  // namespace postpone::subworker
