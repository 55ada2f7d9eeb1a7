// Jobs that a sub-worker leaves alone for a while, because the database refuses to start them: a trigger of
// the application raises, a check of its own fails. They wait as before; each is tried again after a wait
// that grows, since people may have mended what was wrong. Where many jobs of one task are refused, the whole
// task is passed over: a fetch compares each candidate with the list, and there may be thousands. Pure: time
// and chance are arguments.
//
// Tasks that the group leaves to others (`unknown_task = "leave"`) are passed over, too: so many of them without an
// end, and the jobs of all others as those that are refused.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <set>
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

  // The group's executable does not have the task of this job: all jobs of the task are for other workers, however long
  // that takes. Of very many such tasks not all are remembered: of the others, the job is passed over for a while.
  News leave(const sql::Job& job, Clock::time_point now, double chance);
  static constexpr std::size_t kMostLeft = 200;
  // A fresh task process may have some of them.
  void forget_left(const std::function<bool(const std::string& task)>& has);

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
  std::set<std::string> left_;
};

}  // namespace postpone::subworker
