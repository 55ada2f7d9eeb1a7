#include "supervisor/task_limits.h"

#include <algorithm>
#include <utility>

#include "sys/logger.h"

namespace postpone::supervisor {

void TaskLimits::take() {
  const auto former = std::exchange(in_force_, std::exchange(read_, {}));
  if (in_force_ == former) return;
  for (const board::LimitedTask& task : in_force_)
    if (std::ranges::find(former, task) == former.end())
      sys::log.info("task {}: at most {} of its jobs run at a time", task.name, task.limit);
  for (const board::LimitedTask& task : former)
    if (std::ranges::find(in_force_, task.name, &board::LimitedTask::name) == in_force_.end())
      sys::log.info("task {}: any number of its jobs run at a time", task.name);
  board::set_task_limits(board_, in_force_);
}

}  // namespace postpone::supervisor
