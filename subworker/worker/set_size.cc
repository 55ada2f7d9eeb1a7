#include "subworker/worker/set_size.h"

#include <algorithm>

namespace postpone::subworker {
namespace {

// How much the latest job counts: of all tasks one slow job among many quick ones must not count for much; of
// a single task a change is to be noticed soon.
constexpr double kWeight = 0.1;
constexpr double kWeightOfTask = 0.3;
// No job counts for more than so many times the mean: a quick one takes a thousand times as long when another process has
// got the processor meanwhile. Where one job of twenty is slow indeed, the mean grows with each of them all the same, since
// 1 + 0.1 * (100 - 1) is more than it shrinks in nineteen quick ones.
constexpr double kMostOfMean = 100;

double blend(double known, double latest, double weight) {
  return known == 0 ? latest : known + weight * (latest - known);
}

}  // namespace

int SetSize::next() const {
  const double room = static_cast<double>(horizon_.count()) / 2;
  const double fits = mean_ns_ > 0 ? room / mean_ns_ : 1;
  return static_cast<int>(std::clamp(fits, 1.0, static_cast<double>(std::min(limit_, most_))));
}

// An answer that had fewer jobs than were asked for says nothing of how many could have been run.
void SetSize::fetched(int jobs) {
  if (jobs >= next()) limit_ = std::min(std::max(1, jobs) * 2, most_);
}

void SetSize::took(const std::string& task, Nanoseconds time) {
  const auto ns = static_cast<double>(std::max<Nanoseconds::rep>(time.count(), 1));
  mean_ns_ = blend(mean_ns_, mean_ns_ == 0 ? ns : std::min(ns, kMostOfMean * mean_ns_), kWeight);
  double& of_task = tasks_.try_emplace(task, 0).first->second;
  of_task = blend(of_task, ns, kWeightOfTask);
}

SetSize::Nanoseconds SetSize::expected(const std::string& task) const {
  const auto known = tasks_.find(task);
  return Nanoseconds(static_cast<Nanoseconds::rep>(known != tasks_.end() ? known->second : mean_ns_));
}

bool SetSize::outlasts_horizon(const std::string& task) const {
  const auto known = tasks_.find(task);
  return known != tasks_.end() && known->second > static_cast<double>(horizon_.count());
}

std::vector<std::string> SetSize::slow_tasks() const {
  std::vector<std::string> slow;
  for (const auto& [task, ns] : tasks_)
    if (ns > static_cast<double>(horizon_.count())) slow.push_back(task);
  return slow;
}

void SetSize::cut_to(int jobs) {
  limit_ = std::max(1, jobs);
}

}  // namespace postpone::subworker
