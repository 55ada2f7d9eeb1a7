// What is measured: a workload is data, and a list of contenders that do it in turns.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/compare/contender.h"

namespace postpone::bench {

struct Workload {
  std::string name;  // "fetch-one-lock"; `--only fetch` chooses all whose name begins so
  std::string title;
  Load load;
  std::vector<Measure> measures;
  std::vector<std::string> bases;  // as in Result
  std::function<Contenders()> contenders;
  bool is_in_guard = false;
};

// How much of all that is to be done.
struct Extent {
  bool with_peers = true;
  int most_rows = 1'000'000;  // before the job that a fetch finds
  int snapshot_seconds = 20;  // for which a session holds a snapshot
};

std::vector<Workload> workloads(const Extent& extent);

// Those of these names, in the order of `all`. A name chooses a workload, or all whose names begin with it
// and a dash. Throws std::invalid_argument, in a line for people, when it chooses none.
std::vector<Workload> chosen(const std::vector<Workload>& all, const std::vector<std::string>& names);

}  // namespace postpone::bench
