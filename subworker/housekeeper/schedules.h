// Periodic tasks: their schedules, which stand in the configuration, or which the task executables are asked
// for, and the jobs that are deferred at their ticks.
//
//   learn()   asks the executables
//   keep()    tells the database which schedules there are, again every few minutes, so that people see that
//             they are served; the answer says from where on a new one ticks. Then it defers what is due.
//
// The preflight has checked the task executables before anything was started. One that cannot be asked now
// (no process to be had, a file that is being replaced, an answer that takes too long) is asked again, with
// growing waits, until it answers. One that gives a wrong answer would give it again, and is asked no more.
// Meanwhile, and then, its schedules do not tick, which the status socket reports.
#pragma once

#include <chrono>
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

  // When there is something to keep.
  Clock::time_point due(Clock::time_point now) const;
  // `between` is called between two statements. Throws DatabaseError.
  void keep(sql::JobManager& manager, Clock::time_point now, const std::function<void()>& between);

 private:
  // Asks one group, and returns why it has to be asked again; empty = it has not to be.
  std::string ask_one(const config::Group& group, const Ask& ask);
  void add_rest();
  void report(const std::string& passing);
  void announce(sql::JobManager& manager, Clock::time_point now);
  void defer(sql::JobManager& manager, const sql::PeriodicDefer& tick);
  Cron::Time server_now(Clock::time_point now) const;

  const config::Config& config_;
  const ServerClock& server_clock_;
  HousekeeperReporter& reporter_;
  const std::string supervisor_;  // as people know it
  Periodic periodic_;
  std::vector<std::size_t> unasked_;  // groups whose schedules are not known yet
  Clock::time_point next_asking_;
  Clock::time_point next_announcing_ = Clock::time_point::max();
  sys::Backoff asking_pause_;
  std::string wrong_;     // of an executable that has answered, and cannot mend itself
  std::string reported_;  // why some schedules do not tick, as the log has it
};

}  // namespace postpone::subworker
