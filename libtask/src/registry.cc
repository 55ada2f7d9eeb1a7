#include "registry.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "libtask/wire/cron.h"
#include "libtask/wire/names.h"
#include "libtask/wire/zone.h"

namespace libtask::detail {
namespace {

constexpr std::size_t kMaxNameBytes = 128;  // of the columns task_name, queue_name and periodic_id

using Faults = std::vector<std::string>;

// Names what is checked, so that each line of `faults` reads by itself: "task "a": its queue is empty".
class Checker {
 public:
  Checker(Faults& faults, std::string subject) : faults_(faults), subject_(std::move(subject)) {}

  void require(bool holds, const std::string& otherwise) {
    if (!holds) faults_.push_back(subject_ + ": " + otherwise);
  }
  void name(const std::string& what, const std::optional<std::string>& value) {
    if (!value) return;
    require(!value->empty(), what + " is empty");
    require(value->size() <= kMaxNameBytes,
            what + " is longer than " + std::to_string(kMaxNameBytes) + " bytes");
    text(what, *value);
  }
  void lock(const std::string& what, const std::optional<std::string>& value) {
    require(!value || value->size() <= kMaxLockBytes,
            what + " is longer than " + std::to_string(kMaxLockBytes) + " bytes");
    text(what, value);
  }
  void text(const std::string& what, const std::optional<std::string>& value) {
    try {
      json_text(value.value_or(""));
    } catch (const std::invalid_argument&) {
      require(false, what + " is not UTF-8 or has a NUL");
    }
  }
  void wait(const std::string& what, std::chrono::duration<double> value) {
    require(std::isfinite(value.count()) && value.count() >= 0, what + " is not a time span from 0 up");
  }

 private:
  Faults& faults_;
  std::string subject_;
};

void check_retry(Checker& check, const RetryOptions& retry) {
  check.require(retry.max_attempts.value_or(0) >= 0, "its max_attempts is negative");
  check.wait("its wait", retry.wait);
  check.wait("its linear_wait", retry.linear_wait);
  check.wait("its exponential_wait", retry.exponential_wait);
  check.wait("its max_wait", retry.max_wait.value_or(std::chrono::duration<double>(0)));
  check.require(retry.jitter >= 0 && retry.jitter <= 1, "its jitter is not from 0 to 1");
  check.name("the queue of its retries", retry.queue);
  check.require(!retry.lock || !retry.lock->empty(), "the lock of its retries is empty");
  check.lock("the lock of its retries", retry.lock);
}

void check_parameters(Checker& check, const std::vector<std::string>& names) {
  std::set<std::string_view> seen;
  for (const std::string& name : names) {
    check.require(!name.empty(), "the name of a parameter is empty");
    check.require(seen.insert(name).second, "it has two parameters called \"" + name + "\"");
  }
}

void check_task(Faults& faults, const TaskEntry& task) {
  Checker check(faults, "task \"" + task.name + "\"");
  check.name("its name", task.name);
  check.require(task.scope == nullptr || task.scope->prefix.empty() || task.name != task.scope->prefix,
                "its name is empty but for the namespace");
  for (const std::string& alias : task.aliases) check.name("its alias", alias);
  check.name("its queue", task.queue);
  check.lock("its lock", task.lock);
  check.lock("its queueing lock", task.queueing_lock);
  check.require(!task.time_limit || task.time_limit->count() > 0, "its time limit is not above 0");
  check.require(task.memory_limit.value_or(1) > 0, "its memory limit is not above 0");
  check.require(task.concurrency_limit.value_or(1) > 0, "its concurrency limit is not above 0");
  check.require(task.handler != nullptr, "its handler is an empty function");
  check_parameters(check, task.parameters);
  if (task.retry) check_retry(check, *task.retry);
}

void check_periodic(Faults& faults, const PeriodicEntry& periodic, const Registry& registry) {
  Checker check(faults, "schedule \"" + periodic.cron + "\" of task \"" + periodic.task + "\"");
  try {
    wire::Cron::parse(periodic.cron);
  } catch (const wire::CronError& error) {
    check.require(false, error.what());
  }
  // Whether the host has the zone is seen where the schedule is kept: task processes may have no /usr.
  check.require(
      wire::Zone::is_name(periodic.options.zone),
      "\"" + periodic.options.zone + "\" cannot be its time zone; write one such as \"Europe/Paris\"");
  check.require(periodic.options.missed_within.count() >= 0, "its missed_within is negative");
  const TaskEntry* task = registry.find(periodic.task);
  check.require(task != nullptr, "no such task is registered");
  check.require(task == nullptr || task->name == periodic.task, "this is an alias; use the task's name");
  if (!periodic.options.id.empty()) check.name("its id", periodic.options.id);
}

void check_duplicates(Faults& faults, const Registry& registry) {
  std::set<std::string_view> names;
  for (const TaskEntry& task : registry.tasks) {
    Checker(faults, "task \"" + task.name + "\"")
        .require(names.insert(task.name).second, "it is registered more than once");
  }
  for (const TaskEntry& task : registry.tasks) {
    for (const std::string& alias : task.aliases)
      Checker(faults, "task \"" + task.name + "\"")
          .require(names.insert(alias).second,
                   "its alias \"" + alias + "\" is the name of a task, or an alias, already");
  }
  std::set<std::pair<std::string_view, std::string_view>> schedules;
  for (const PeriodicEntry& periodic : registry.periodic) {
    Checker(faults, "schedule \"" + periodic.cron + "\" of task \"" + periodic.task + "\"")
        .require(schedules.insert({periodic.task, periodic.options.id}).second,
                 "another schedule of this task has the same id; give each an id of its own");
  }
}

// That each is a function, and that the namespaces have names.
void check_scopes(Faults& faults, const Registry& registry) {
  for (const Scope& scope : registry.scopes) {
    const bool is_app = scope.outer == nullptr;
    Checker check(faults, is_app ? "the App" : "namespace \"" + scope.prefix + "\"");
    check.require(is_app || scope.prefix.size() > scope.outer->prefix.size() + 1, "its name is empty");
    check.text("its name", scope.prefix);
    for (const Middleware& middleware : scope.around)
      check.require(middleware != nullptr, "a middleware is an empty function");
  }
  for (const auto* actions : {&registry.set_up, &registry.tear_down})
    for (const auto& action : *actions)
      Checker(faults, "the App").require(action != nullptr, "a set_up or tear_down is an empty function");
}

}  // namespace

bool TaskEntry::is_called(std::string_view task) const {
  return name == task || std::find(aliases.begin(), aliases.end(), task) != aliases.end();
}

const TaskEntry* Registry::find(std::string_view task) const {
  const auto found =
      std::find_if(tasks.begin(), tasks.end(), [task](const auto& entry) { return entry.is_called(task); });
  return found == tasks.end() ? nullptr : &*found;
}

std::string Registry::nearest(std::string_view task) const {
  std::vector<std::string_view> names;
  for (const TaskEntry& entry : tasks) names.push_back(entry.name);
  return wire::nearest_tasks(task, std::move(names));
}

std::optional<wire::RetryStrategy> retry_strategy(const TaskEntry& task) {
  if (!task.retry) return std::nullopt;
  return wire::RetryStrategy{.max_attempts = task.retry->max_attempts,
                             .wait = task.retry->wait,
                             .linear_wait = task.retry->linear_wait,
                             .exponential_wait = task.retry->exponential_wait,
                             .max_wait = task.retry->max_wait,
                             .jitter = task.retry->jitter,
                             .on_crash = task.retry->on_crash,
                             .priority = task.retry->priority,
                             .queue = task.retry->queue,
                             .lock = task.retry->lock};
}

std::vector<std::string> faults_of(const Registry& registry) {
  Faults faults;
  if (registry.tasks.empty()) faults.emplace_back("no task is registered");
  for (const TaskEntry& task : registry.tasks) check_task(faults, task);
  for (const PeriodicEntry& periodic : registry.periodic) check_periodic(faults, periodic, registry);
  check_duplicates(faults, registry);
  check_scopes(faults, registry);
  return faults;
}

}  // namespace libtask::detail
