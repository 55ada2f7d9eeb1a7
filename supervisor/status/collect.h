// From the board, and what the supervisor knows by itself, to a snapshot.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "board/board.h"
#include "config/config.h"
#include "supervisor/status/snapshot.h"

namespace postpone::supervisor::status {

// What only the supervisor's own memory holds. Who exists is one of these things, and not read from the
// board.
struct Known {
  Phase phase = Phase::preflight;
  bool paused = false;
  Process process;
  Listen listen;
  std::vector<Member> members;          // by number: the slots, then the housekeeper
  std::vector<std::uint32_t> group_of;  // by slot
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

  std::vector<std::uint64_t> read_;  // by slot, the housekeeper's last: how far its ring was read
  std::deque<Failure> kept_;         // the newest first
};

// REQUIRES: known.members holds slots + 1, known.group_of slots of them.
Snapshot collect(const board::Board& board, const config::Config& config, const Known& known,
                 const Failures& failures);

}  // namespace postpone::supervisor::status
