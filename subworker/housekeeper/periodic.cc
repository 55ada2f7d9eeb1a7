#include "subworker/housekeeper/periodic.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace postpone::subworker {

void Periodic::add(const libtask::wire::Description& description) {
  for (const auto& periodic : description.periodic) {
    const auto* task = description.find(periodic.task);
    if (!task)
      throw std::runtime_error(
          fmt::format("schedule \"{}\" of task \"{}\": there is no such task", periodic.cron, periodic.task));
    const bool known = std::any_of(schedules_.begin(), schedules_.end(), [&](const Schedule& schedule) {
      return schedule.description.task == periodic.task && schedule.description.id == periodic.id;
    });
    if (known) continue;
    try {
      schedules_.push_back({Cron::parse(periodic.cron), periodic, *task, std::nullopt});
    } catch (const libtask::wire::CronError& error) {
      throw std::runtime_error(
          fmt::format("schedule \"{}\" of task \"{}\": {}", periodic.cron, periodic.task, error.what()));
    }
  }
}

void Periodic::start(Cron::Time now) {
  for (Schedule& schedule : schedules_)
    if (!schedule.next) schedule.next = schedule.cron.next_after(now - kMostLate);
}

std::optional<Cron::Time> Periodic::next_tick() const {
  std::optional<Cron::Time> next;
  for (const Schedule& schedule : schedules_)
    if (schedule.next && (!next || *schedule.next < *next)) next = schedule.next;
  return next;
}

std::vector<sql::PeriodicDefer> Periodic::take_due(Cron::Time now) {
  std::vector<sql::PeriodicDefer> due;
  for (Schedule& schedule : schedules_) {
    std::optional<Cron::Time> last;
    for (; schedule.next && *schedule.next <= now; schedule.next = schedule.cron.next_after(*schedule.next))
      last = schedule.next;
    if (last) due.push_back(defer(schedule, *last));
  }
  std::stable_sort(due.begin(), due.end(),
                   [](const auto& a, const auto& b) { return a.timestamp < b.timestamp; });
  return due;
}

sql::PeriodicDefer Periodic::defer(const Schedule& schedule, Cron::Time tick) {
  sql::PeriodicDefer defer;
  defer.periodic_id = schedule.description.id;
  defer.timestamp = tick.time_since_epoch().count();
  defer.job.task = schedule.task.name;
  defer.job.queue = schedule.task.queue;
  defer.job.priority = schedule.task.priority;
  defer.job.lock = schedule.task.lock;
  defer.job.queueing_lock = schedule.task.queueing_lock;
  defer.job.args = schedule.description.args;  // the job manager adds the tick, as "timestamp"
  return defer;
}

}  // namespace postpone::subworker
