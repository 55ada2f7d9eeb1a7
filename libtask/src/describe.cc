// The text that wire/description.cc reads; docs/protocol.md specifies it.
#include "libtask/wire/frame.h"
#include "libtask/wire/missed.h"
#include "registry.h"

#define LIBTASK_TEXT_OF(value) #value
#define LIBTASK_TEXT(value) LIBTASK_TEXT_OF(value)

namespace libtask::detail {
namespace {

static_assert(std::string_view(POSTPONE_VERSION) ==
                  LIBTASK_TEXT(LIBTASK_VERSION_MAJOR) "." LIBTASK_TEXT(
                      LIBTASK_VERSION_MINOR) "." LIBTASK_TEXT(LIBTASK_VERSION_PATCH),
              "libtask/version.h has the version of CMakeLists.txt");

Value retry_object(const std::optional<RetryOptions>& retry) {
  if (!retry) return nullptr;
  return {{"max_attempts", retry->max_attempts},
          {"wait_s", retry->wait.count()},
          {"linear_wait_s", retry->linear_wait.count()},
          {"exponential_wait_s", retry->exponential_wait.count()},
          {"max_wait_s", retry->max_wait ? std::optional(retry->max_wait->count()) : std::nullopt},
          {"jitter", retry->jitter},
          {"on_crash", retry->on_crash},
          {"priority", retry->priority},
          {"queue", retry->queue},
          {"lock", retry->lock}};
}

Value task_object(const TaskEntry& task) {
  const std::chrono::milliseconds no_limit{0};
  return {{"name", task.name},
          {"queue", task.queue},
          {"priority", task.priority},
          {"lock", task.lock},
          {"queueing_lock", task.queueing_lock},
          {"aliases", task.aliases},
          {"time_limit_ms", task.time_limit.value_or(no_limit).count()},
          {"memory_limit_bytes", task.memory_limit.value_or(0)},
          {"concurrency_limit", task.concurrency_limit.value_or(0)},
          {"fresh_process", task.fresh_process},
          {"retry", retry_object(task.retry)}};
}

Value periodic_object(const PeriodicEntry& periodic) {
  return {{"cron", periodic.cron},
          {"task", periodic.task},
          {"id", periodic.options.id},
          {"args", periodic.options.args},
          {"zone", periodic.options.zone},
          {"missed", wire::to_string(static_cast<wire::Missed>(periodic.options.missed))},
          {"missed_within_s", periodic.options.missed_within.count()}};
}

}  // namespace

std::string describe(const Registry& registry, std::optional<int> stack_signal) {
  std::vector<Value> tasks;
  for (const TaskEntry& task : registry.tasks) tasks.push_back(task_object(task));
  std::vector<Value> periodic;
  for (const PeriodicEntry& entry : registry.periodic) periodic.push_back(periodic_object(entry));
  return Args{{"libtask_version", POSTPONE_VERSION},
              {"protocol_version", wire::kProtocolVersion},
              {"stack_signal", stack_signal},
              {"tasks", tasks},
              {"periodic", periodic}}
      .text();
}

}  // namespace libtask::detail
