// `peers` and `guard`: workloads in interleaved rounds, and what is written about them.
#pragma once

#include <string>
#include <vector>

#include "bench/compare/workloads.h"

namespace postpone::bench {

struct CompareOptions {
  std::vector<std::string> only = {};  // names of workloads; empty: all
  int rounds = 3;
  double scale = 1;       // of each load's jobs
  std::string json = {};  // a file to write; empty: none
  std::string note = {};  // what a reader of the figures has to know of this run; goes into the file
  Extent extent = {};
};

// Half a minute of what a change may make slower, beside the floors alone.
CompareOptions guard_options();

// Measures and prints one workload after the other, and writes the file anew after each, so that what was
// measured is kept whatever comes then. False when a contender failed, which the table then names. Throws
// std::invalid_argument for an unknown workload, before anything is measured.
bool compare(const CompareOptions& options);

// One workload. In the odd rounds the contenders take their turns backwards, so that none is always the one
// that finds the machine as another left it.
Result measured(const Workload& workload, int rounds, double scale);

}  // namespace postpone::bench
