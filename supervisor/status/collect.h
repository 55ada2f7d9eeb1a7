// From the board, and what the supervisor knows by itself, to a snapshot.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "board/board.h"
#include "board/task_permits.h"
#include "config/config.h"
#include "supervisor/status/snapshot.h"

namespace postpone::supervisor::status {

// How it stands with starting a process, as the roster has it.
struct Starting {
  int failures = 0;
  std::int64_t next_start_ns = 0;
};

// A slot. One that is not in use at the moment has a group still: the one that its counts belong to.
struct SlotFacts {
  std::string group;    // by name: a reload may have taken it out of the configuration
  bool in_use = false;  // a sub-worker lives there, or is going to
  Starting starting;
};

std::int64_t unix_now_ns();

// What only the supervisor's own memory holds. Which processes exist is one of these things, and not read
// from the board.
struct SupervisorFacts {
  Phase phase = Phase::preflight;
  bool paused = false;
  Standing standing;
  Process process;
  Listen listen;
  std::vector<SlotFacts> slots;  // by slot
  std::vector<board::LimitedTask> task_limits;
  Starting housekeeper;
  std::optional<Trouble> preflight_trouble;  // of the first preflight, before the family works
};

// The last jobs that did not end well. What a slot's ring has overwritten since it was read last is lost, but
// a ring holds as many as are kept here.
class Failures {
 public:
  // Takes what has come since. Cheap when nothing has.
  void collect(const board::Board& board, std::uint32_t slots);
  std::vector<Failure> newest_first() const { return {kept_.begin(), kept_.end()}; }

 private:
  void keep(const Failure& failure);

  std::vector<std::uint64_t> read_;  // by slot: how far its ring was read
  std::uint64_t housekeeper_read_ = 0;
  std::deque<Failure> kept_;  // the newest first
};

// What has happened, and neither board nor roster remembers.
struct History {
  std::vector<Member> sub_workers;  // by slot; may end before the last one
  Member housekeeper;
  std::map<std::string, Counts> former;  // by group: of slots that serve another one by now
  // Names whose totals are shown; the rest is counted together. A name that is shown once stays, or totals
  // would go back.
  std::set<std::string, std::less<>> tasks;
  std::set<std::string, std::less<>> queues;
  Failures failures;
  // What was read last: a value that is being written, or whose writer died over it, is as it was before.
  board::DatabaseFacts database;
  board::QueueFacts waiting;
};

// What a question needs: whether all is well, or everything.
enum class Detail { state, all };

// Adds what was counted of a slot, and of the processes that lived there.
void add_counts(const board::Slot& slot, const Member& member, Counts& counts);

Snapshot collect(const board::Board& board, const config::Config& config, const SupervisorFacts& known,
                 History& history, Detail detail);

}  // namespace postpone::supervisor::status
