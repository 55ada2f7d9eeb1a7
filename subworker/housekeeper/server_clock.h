// The database's clock, as it was when it was last asked, at least each minute, and has gone on since: steps of this host's clock
// do not matter, and no round trip is needed. Pure.
#pragma once

#include <chrono>

#include "sql/job.h"

namespace postpone::subworker {

class ServerClock {
 public:
  using Clock = std::chrono::steady_clock;

  void set(sql::SystemTime server, Clock::time_point now) {
    server_ = server;
    set_at_ = now;
  }
  Clock::time_point set_at() const { return set_at_; }
  sql::SystemTime at(Clock::time_point now) const {
    return server_ + std::chrono::duration_cast<sql::SystemTime::duration>(now - set_at_);
  }

 private:
  sql::SystemTime server_;
  Clock::time_point set_at_;
};

}  // namespace postpone::subworker
