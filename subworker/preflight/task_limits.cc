#include "subworker/preflight/task_limits.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace postpone::subworker {
namespace {

using LimitsOfGroups = std::vector<std::pair<std::string, int>>;

// 0 = none.
int smallest(const LimitsOfGroups& groups) {
  int found = 0;
  for (const auto& [group, limit] : groups)
    if (limit != 0 && (found == 0 || limit < found)) found = limit;
  return found;
}

}  // namespace

void TaskLimits::add(const std::string& group, const libtask::wire::Description& description) {
  for (const auto& task : description.tasks) tasks_[task.name].emplace_back(group, task.concurrency_limit);
}

std::map<std::string, int> TaskLimits::in_force() const {
  std::map<std::string, int> limits;
  for (const auto& [task, groups] : tasks_)
    if (const int limit = smallest(groups)) limits[task] = limit;
  return limits;
}

std::vector<std::string> TaskLimits::differences() const {
  std::vector<std::string> lines;
  for (const auto& [task, groups] : tasks_) {
    const int limit = smallest(groups);
    const auto other =
        std::ranges::find_if(groups, [limit](const auto& group) { return group.second != limit; });
    if (other == groups.end()) continue;
    const auto strictest = std::ranges::find(groups, limit, &LimitsOfGroups::value_type::second);
    lines.push_back(
        fmt::format("task {} has a concurrency limit of {} in the executable of [[group]] \"{}\", and {} in "
                    "that of \"{}\": "
                    "{} of its jobs run at a time, whichever group runs them",
                    task, limit, strictest->first,
                    other->second == 0 ? "none" : fmt::format("of {}", other->second), other->first, limit));
  }
  return lines;
}

}  // namespace postpone::subworker
