// How many jobs a sub-worker takes at once. Pure: it is told how long jobs took.
//
// A set is as large as what fits into half of the horizon by the run time that is to be expected: the other
// half is for what cannot be expected. It grows to twice its size at most from one fetch to the next, so that
// a sub-worker that knows nothing yet begins with one job.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace postpone::subworker {

class SetSize {
 public:
  using Nanoseconds = std::chrono::nanoseconds;

  // `most`: jobs, at least 1. `horizon`: the longest that a job may be kept that is not begun.
  SetSize(int most, Nanoseconds horizon) : most_(most), horizon_(horizon) {}

  // For the next fetch; from 1 to `most`.
  int next() const;
  // A fetch was answered with so many jobs.
  void fetched(int jobs);
  // A job of this task took so long, together with what it takes to begin and to end it.
  void took(const std::string& task, Nanoseconds time);
  // How long a job of this task will run; for one that is not known, as long as the others.
  Nanoseconds expected(const std::string& task) const;
  // Will a job of this task outlast the horizon, most likely? False for one that is not known.
  bool outlasts_horizon(const std::string& task) const;
  // All tasks of which that is known.
  std::vector<std::string> slow_tasks() const;
  // A set was not done by the horizon: only so many of its jobs had begun.
  void cut_to(int jobs);

 private:
  const int most_;
  const Nanoseconds horizon_;
  int limit_ = 1;                        // what it has grown to
  double mean_ns_ = 0;                   // of all tasks, as they come; 0 = nothing is known
  std::map<std::string, double> tasks_;  // of each, in ns
};

}  // namespace postpone::subworker
