// How a member of the family is started: which program, which arguments, which descriptors. The roster
// decides when.
#pragma once

#include <string>

#include "board/board.h"
#include "config/config.h"
#include "sys/fd.h"
#include "sys/process.h"

namespace postpone::supervisor {

// What all members inherit.
struct Family {
  sys::Fd program;         // postpone-subworker, as it was when we started
  std::string supervisor;  // the name of this supervisor in the database
  std::string config_directory;
  int config_fd = -1;  // a sealed memfd with the text of the configuration in force
  int board_fd = -1;
  // Overrides the configuration's. Handed on in the environment, which ps does not show to other users.
  std::string database_url;
  int oom_score_adj = 0;  // of its members; the supervisor's own is lower
  std::string log_level;  // overrides the configuration's; empty = does not
};

struct Spawned {
  sys::Process process;
  sys::Fd leash;  // our end; non-blocking
};

// What a sub-worker is to be.
struct SlotRole {
  std::string group;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::string cgroup;  // for its task processes; empty = none
  int ledger_fd = -1;
};

// Each throws sys::SpawnError, and then nothing was started.
Spawned spawn_sub_worker(const Family& family, const SlotRole& role);
// `families`: the directory in which families keep their cgroups; empty = none.
Spawned spawn_housekeeper(const Family& family, const std::string& families);
// Before the start.
Spawned spawn_preflight(const Family& family);
// Of a configuration that is not in force yet.
Spawned spawn_preflight_of(const Family& family, int config_fd);

// postpone-subworker, which stands beside the program that runs. A descriptor and not a path: an upgrade puts
// another program there, and what we start has to be of our own version for as long as we run, since the
// board is laid out alike on both sides. Throws std::system_error.
sys::Fd open_sub_worker_program();

}  // namespace postpone::supervisor
