// `run TASK [JSON] [OPTION…]`: one job on the command line, without a database and without a sub-worker.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libtask/testing.h"
#include "registry.h"

namespace libtask::detail {

struct RunByHand {
  std::string task;
  std::string args = "{}";  // JSON text; "-" and "@FILE" are still to be read
  std::string meta = "{}";  // likewise
  testing::Options options{.id = 0};
  bool as_json = false;
};

// Reads the words behind `run`. Throws std::invalid_argument, which says in one line what is wrong.
RunByHand read_run(const std::vector<std::string>& words);

// Runs the job and reports on it: on stderr, or with --json on stdout, and then what the handler writes to
// stdout goes to stderr. Returns the exit status: 0 succeeded, 1 failed, aborted or to be retried, 2 the task
// or its arguments make no sense. REQUIRES: a registry without faults.
int run_by_hand(const Registry& registry, std::string_view program, RunByHand run);

}  // namespace libtask::detail
