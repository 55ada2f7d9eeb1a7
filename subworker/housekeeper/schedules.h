// Periodic tasks: their schedules, which the task executables are asked for, and the jobs that are deferred
// at their ticks.
//
// The preflight has checked the task executables before anything was started. One that cannot be asked now
// (no process to be had, a file that is being replaced, an answer that takes too long) is asked again, with
// growing waits, until it answers. One that gives a wrong answer would give it again, and is asked no more.
// Meanwhile, and then, its schedules do not tick, which the status socket reports.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "config/config.h"
#include "libtask/wire/description.h"
#include "sql/job_manager.h"
#include "subworker/housekeeper/periodic.h"
#include "subworker/housekeeper/reporter.h"
#include "subworker/housekeeper/server_clock.h"
#include "sys/backoff.h"

namespace postpone::subworker {

class Schedules {
 public:
  using Clock = std::chrono::steady_clock;
  // Asks the task executable of a group what it has. Throws TaskNotAsked or sys::SpawnError when there is no
  // answer, and std::runtime_error when it is wrong.
  using Ask = std::function<libtask::wire::Description(const config::Group& group)>;

  // All must outlive it.
  Schedules(const config::Config& config, const ServerClock& server_clock, HousekeeperReporter& reporter);

  // When the executables that have not answered yet are to be asked next.
  Clock::time_point next_asking() const;
  // Asks them, if that is due. What else `ask` throws is passed on, and ends the asking for now.
  void learn(const Ask& ask, Clock::time_point now);

  // When the next job is to be deferred.
  Clock::time_point due(Clock::time_point now) const;
  // Defers the jobs of the ticks up to now; `between` is called between two statements. Throws DatabaseError.
  void keep(sql::JobManager& manager, Clock::time_point now, const std::function<void()>& between);

 private:
  // Asks one group, and returns why it has to be asked again; empty = it has not to be.
  std::string ask_one(const config::Group& group, const Ask& ask);
  void report(const std::string& passing);

  const config::Config& config_;
  const ServerClock& server_clock_;
  HousekeeperReporter& reporter_;
  Periodic periodic_;
  std::deque<sql::PeriodicDefer> ticks_;  // taken from periodic_, not yet in the database
  std::vector<std::size_t> unasked_;      // groups whose schedules are not known yet
  Clock::time_point next_asking_;
  sys::Backoff asking_pause_;
  std::string wrong_;     // of an executable that has answered, and cannot mend itself
  std::string reported_;  // why some schedules do not tick, as the log has it
};

}  // namespace postpone::subworker
