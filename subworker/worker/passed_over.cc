#include "subworker/worker/passed_over.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

constexpr auto kFirst = 2s;
constexpr auto kLongestPause = 5min;

sys::Pause new_pause() {
  return sys::Pause({kFirst, kLongestPause});
}

bool is_forgotten(const sys::Pause& pause, PassedOver::Clock::time_point now) {
  return now >= pause.until() + kLongestPause;
}

}  // namespace

PassedOver::News PassedOver::add(const sql::Job& job, Clock::time_point now, double chance) {
  Task& task = tasks_.try_emplace(job.task, Task{{}, new_pause()}).first->second;
  if (task.pause.failures() > 0) {
    if (task.pause.over(now)) task.pause.failed(now, chance);
    return News::none;
  }
  const auto [entry, is_new] = task.jobs.try_emplace(job.id, new_pause());
  entry->second.failed(now, chance);
  if (task.jobs.size() < kMostOfATask) return is_new ? News::job : News::none;
  task.jobs.clear();
  task.pause.failed(now, chance);
  return News::task;
}

PassedOver::News PassedOver::leave(const sql::Job& job, Clock::time_point now, double chance) {
  if (left_.contains(job.task)) return News::none;
  if (left_.size() >= kMostLeft) return add(job, now, chance);
  left_.insert(job.task);
  return News::task;
}

void PassedOver::forget_left(const std::function<bool(const std::string&)>& has) {
  std::erase_if(left_, has);
}

PassedOver::List PassedOver::list(Clock::time_point now) {
  List list;
  list.tasks.assign(left_.begin(), left_.end());
  for (auto& [name, task] : tasks_) {
    std::erase_if(task.jobs, [now](const auto& entry) { return is_forgotten(entry.second, now); });
    if (is_forgotten(task.pause, now)) task.pause.succeeded();
    if (!task.pause.over(now)) list.tasks.push_back(name);
    for (const auto& [id, pause] : task.jobs)
      if (!pause.over(now)) list.jobs.push_back(id);
  }
  std::erase_if(
      tasks_, [](const auto& task) { return task.second.jobs.empty() && task.second.pause.failures() == 0; });
  return list;
}

}  // namespace postpone::subworker
