// Jobs that a sub-worker leaves alone for a while, because the database refuses to start them: a trigger of
// the application raises, a check of its own fails. They wait as before; each is tried again after a wait
// that grows, since people may have mended what was wrong. Pure: time and chance are arguments.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <vector>

#include "sql/job.h"
#include "sys/retry.h"

namespace postpone::subworker {

class PassedOver {
 public:
  using Clock = sys::Pause::Clock;

  // So many at most: a fetch compares each candidate with all of them. Beyond that the ones that are due
  // first go.
  static constexpr std::size_t kMost = 1000;

  // The job could not be started. True when this is the first time, or was forgotten since: worth a line.
  bool add(sql::JobId job, Clock::time_point now, double chance);

  // Those whose time has not come yet, by id. A job whose time has come stays known for five minutes more, so
  // that its next failure waits longer; then it is forgotten.
  std::vector<sql::JobId> list(Clock::time_point now);

 private:
  std::map<sql::JobId, sys::Pause> jobs_;
};

}  // namespace postpone::subworker
