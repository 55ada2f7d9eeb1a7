// Periodic defers: which tick of which schedule is next. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "libtask/wire/cron.h"
#include "libtask/wire/description.h"
#include "sql/job_manager.h"

namespace postpone::subworker {

using libtask::wire::Cron;

// The schedules of all task executables of a configuration. A tick is deferred once in the database however
// many supervisors keep time (procrastinate_defer_periodic_job_v2); a tick that passed while no housekeeper
// ran is made up for when it is no more than ten minutes old, as Procrastinate does.
class Periodic {
 public:
  static constexpr std::chrono::minutes kMostLate{10};

  // Adds the schedules of one task executable; the same schedule of two groups counts once. Throws
  // std::runtime_error that names the schedule when its cron expression or its task is wrong.
  void add(const libtask::wire::Description& description);

  // Sets the time from which ticks count, for schedules that have none yet. Called once the database's clock
  // is known, and again when schedules were added.
  void start(Cron::Time now);

  // The next tick of any schedule; nothing when there is none to come.
  std::optional<Cron::Time> next_tick() const;

  // The ticks up to `now`, as the job manager takes them, oldest first; each is handed out once. A schedule
  // that fell behind by several ticks gives the last of them only.
  std::vector<sql::PeriodicDefer> take_due(Cron::Time now);

 private:
  struct Schedule {
    Cron cron;
    libtask::wire::PeriodicDescription description;
    libtask::wire::TaskDescription task;
    std::optional<Cron::Time> next;
  };
  static sql::PeriodicDefer defer(const Schedule& schedule, Cron::Time tick);

  std::vector<Schedule> schedules_;
};

}  // namespace postpone::subworker
