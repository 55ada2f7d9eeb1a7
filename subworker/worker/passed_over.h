// Jobs that a sub-worker leaves alone for a while, because the database refuses to start them: a trigger of
// the application raises, a check of its own fails. They wait as before; each is tried again after a wait
// that grows, since people may have mended what was wrong. Where many jobs of one task are refused, the whole
// task is passed over: a fetch compares each candidate with the list, and there may be thousands. Pure: time
// and chance are arguments.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "sql/job.h"
#include "sys/retry.h"

namespace postpone::subworker {

class PassedOver {
 public:
  using Clock = sys::Pause::Clock;

  // So many refused jobs of one task, and all of its jobs are passed over (postpone_fetch_around counts the
  // same).
  static constexpr std::size_t kMostOfATask = 20;

  // What is worth a line in the log.
  enum class News { none, job, task };

  // The job could not be started.
  News add(const sql::Job& job, Clock::time_point now, double chance);

  struct List {
    std::vector<sql::JobId> jobs;
    std::vector<std::string> tasks;
  };
  // Those whose time has not come yet. One whose time has come stays known for five minutes more, so that its
  // next failure waits longer; then it is forgotten.
  List list(Clock::time_point now);

 private:
  struct Task {
    std::map<sql::JobId, sys::Pause> jobs;
    sys::Pause pause;  // of the whole task, once it has failed
  };

  std::map<std::string, Task> tasks_;
};

}  // namespace postpone::subworker
