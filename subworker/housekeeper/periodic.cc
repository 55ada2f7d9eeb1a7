#include "subworker/housekeeper/periodic.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <deque>
#include <stdexcept>
#include <utility>

namespace postpone::subworker {
namespace {

using libtask::wire::Missed;
using libtask::wire::TaskDescription;

std::string name_of(const sql::ServedSchedule& served) {
  return fmt::format("schedule \"{}\" of task \"{}\"", served.cron, served.job.task);
}

sql::DeferRequest job_of(const TaskDescription& task) {
  sql::DeferRequest job;
  job.task = task.name;
  job.queue = task.queue;
  job.priority = task.priority;
  job.lock = task.lock;
  job.queueing_lock = task.queueing_lock;
  return job;
}

sql::ServedSchedule served_of(const libtask::wire::PeriodicDescription& periodic,
                              const TaskDescription& task) {
  sql::ServedSchedule served;
  served.cron = periodic.cron;
  served.zone = periodic.zone;
  served.missed = to_string(periodic.missed);
  served.missed_within = periodic.missed_within;
  served.periodic_id = periodic.id;
  served.job = job_of(task);
  served.job.args = periodic.args;  // the job manager adds the tick, as "timestamp"
  return served;
}

// Does what it is given, one schedule at a time, and throws in the end what the first wrong one threw.
class EachAlone {
 public:
  template <class Action>
  void operator()(const Action& action) {
    try {
      action();
    } catch (const std::runtime_error& error) {
      if (fault_.empty()) fault_ = error.what();
    }
  }
  void throw_fault() const {
    if (!fault_.empty()) throw std::runtime_error(fault_);
  }

 private:
  std::string fault_;
};

}  // namespace

Periodic::Periodic(std::vector<config::Schedule> filed) : filed_(std::move(filed)) {}

void Periodic::add(const libtask::wire::Description& description) {
  EachAlone each;
  std::erase_if(filed_, [&](const config::Schedule& filed) {
    const auto* task = description.find(filed.task);
    if (task) each([&] { add_filed(filed, *task); });
    return task != nullptr;
  });
  for (const auto& periodic : description.periodic) {
    each([&] {
      const auto* task = description.find(periodic.task);
      if (!task)
        throw std::runtime_error(fmt::format("schedule \"{}\" of task \"{}\": there is no such task",
                                             periodic.cron, periodic.task));
      if (!is_known(periodic.task, periodic.id)) add(served_of(periodic, *task), periodic.missed);
    });
  }
  each.throw_fault();
}

void Periodic::add_rest() {
  EachAlone each;
  for (const config::Schedule& filed : std::exchange(filed_, {})) {
    TaskDescription task;
    task.name = filed.task;
    each([&] { add_filed(filed, task); });
  }
  each.throw_fault();
}

void Periodic::add_filed(const config::Schedule& filed, const TaskDescription& task) {
  // The file may call a task by one of its aliases.
  if (is_known(task.name, filed.id))
    throw std::runtime_error(
        fmt::format("schedule \"{}\" of task \"{}\": another one of the file is of the same task with the "
                    "same id: give one an id",
                    filed.cron, filed.task));
  sql::ServedSchedule served;
  served.cron = filed.cron;
  served.zone = filed.zone;
  served.missed = to_string(filed.missed);
  served.missed_within = filed.missed_within;
  served.periodic_id = filed.id;
  served.job = job_of(task);
  served.job.args = filed.arguments;
  if (!filed.queue.empty()) served.job.queue = filed.queue;
  if (filed.priority) served.job.priority = *filed.priority;
  if (!filed.lock.empty()) served.job.lock = filed.lock;
  if (!filed.queueing_lock.empty()) served.job.queueing_lock = filed.queueing_lock;
  add(std::move(served), filed.missed);
}

void Periodic::add(sql::ServedSchedule served, Missed missed) {
  try {
    if (const std::string fault = sql::fault_of(served.job); !fault.empty()) throw std::runtime_error(fault);
    libtask::wire::ZonedCron cron{Cron::parse(served.cron), libtask::wire::Zone::load(served.zone)};
    schedules_.push_back({std::move(cron), std::move(served), missed});
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(fmt::format("{}: {}", name_of(served), error.what()));
  }
}

bool Periodic::is_known(const std::string& task, const std::string& id) const {
  return std::any_of(schedules_.begin(), schedules_.end(), [&](const Schedule& schedule) {
    return schedule.served.job.task == task && schedule.served.periodic_id == id;
  });
}

std::vector<sql::ServedSchedule> Periodic::served() const {
  std::vector<sql::ServedSchedule> all;
  for (const Schedule& schedule : schedules_) all.push_back(schedule.served);
  return all;
}

// Missed ticks that may be made up for lie behind this time.
Cron::Time Periodic::Schedule::oldest(Cron::Time now) const {
  // An executable may say any number.
  const auto within = std::chrono::duration_cast<std::chrono::seconds>(
      std::min<sql::Seconds>(served.missed_within, std::chrono::days(36'525)));
  return now - (missed == Missed::skip ? kInTime : std::max<std::chrono::seconds>(kInTime, within));
}

void Periodic::start(const std::vector<std::int64_t>& done_until, Cron::Time now) {
  for (std::size_t i = 0; i < schedules_.size(); ++i) {
    Schedule& schedule = schedules_[i];
    if (std::exchange(schedule.is_started, true)) continue;
    const Cron::Time done{std::chrono::seconds(done_until[i])};
    schedule.next = schedule.cron.next_after(std::max(done, schedule.oldest(now)));
  }
}

std::optional<Cron::Time> Periodic::next_tick() const {
  std::optional<Cron::Time> next;
  for (const Schedule& schedule : schedules_)
    if (schedule.next && (!next || *schedule.next < *next)) next = schedule.next;
  return next;
}

std::vector<sql::PeriodicDefer> Periodic::take_due(Cron::Time now) {
  std::vector<sql::PeriodicDefer> due;
  for (Schedule& schedule : schedules_) take(schedule, now, due);
  std::stable_sort(due.begin(), due.end(),
                   [](const auto& a, const auto& b) { return a.timestamp < b.timestamp; });
  return due;
}

void Periodic::take(Schedule& schedule, Cron::Time now, std::vector<sql::PeriodicDefer>& due) {
  if (!schedule.next || *schedule.next > now) return;
  if (const auto oldest = schedule.oldest(now); *schedule.next <= oldest)
    schedule.next = schedule.cron.next_after(oldest);
  const std::size_t most = schedule.missed == Missed::all ? kMostMadeUp : 1;
  skip_to_last(schedule, now, most);
  std::deque<Cron::Time> ticks;
  for (; schedule.next && *schedule.next <= now; schedule.next = schedule.cron.next_after(*schedule.next)) {
    ticks.push_back(*schedule.next);
    if (ticks.size() > most) ticks.pop_front();
  }
  for (const Cron::Time tick : ticks)
    due.push_back({schedule.served.job, schedule.served.periodic_id, tick.time_since_epoch().count()});
}

// A schedule that ticks each second has 31 million ticks in a year without a supervisor: only the end of them is walked
// through, which is searched for backwards in growing steps.
void Periodic::skip_to_last(Schedule& schedule, Cron::Time now, std::size_t most) {
  for (std::chrono::seconds back = std::chrono::hours(1); now - back > *schedule.next; back *= 2) {
    const auto first = schedule.cron.next_after(now - back);
    std::size_t ticks = 0;
    for (auto tick = first; tick && *tick <= now && ticks < most; tick = schedule.cron.next_after(*tick))
      ++ticks;
    if (ticks < most) continue;
    schedule.next = first;
    return;
  }
}

void Periodic::give_back(std::span<const sql::PeriodicDefer> ticks) {
  for (const sql::PeriodicDefer& tick : ticks) {
    const Cron::Time time{std::chrono::seconds(tick.timestamp)};
    for (Schedule& schedule : schedules_) {
      if (schedule.served.job.task == tick.job.task && schedule.served.periodic_id == tick.periodic_id)
        schedule.next = std::min(schedule.next.value_or(time), time);
    }
  }
}

}  // namespace postpone::subworker
