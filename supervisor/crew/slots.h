// Which slot serves which group, and what the supervisor knows of the incarnation in each slot. Passive: what
// is to change is decided elsewhere (reload/change.h); this class notes it, and writes it on the board, so
// that the two never differ.
//
//   no group ──engage──▶ serves a group ──dismiss──▶ no group, commanded to leave ──ended──▶ no group
//                         │        ▲
//                  outdated        │ begin_incarnation
//                         ▼        │
//                 command_leave ──ended
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "board/board.h"
#include "board/ledger.h"
#include "config/config.h"
#include "supervisor/crew/member.h"

namespace postpone::supervisor {

struct SlotRecord {
  board::GroupId group = board::kNoGroup;  // that it serves; none: no sub-worker is started here
  std::string group_name;                  // of that group, or of the one that it served last

  // Of the incarnation that lives here, or lived here last.
  bool outdated = false;  // it was started with a configuration that has changed since
  bool leaving = false;   // it was commanded to leave when its job has ended
  Clock::time_point leaving_since = {};
  std::chrono::milliseconds grace{0};  // how long it takes to drain at most, by its own configuration
  std::chrono::milliseconds abort_grace{0};

  bool serves() const { return group != board::kNoGroup; }
};

class Slots {
 public:
  // As many slots as the board has, and none of them serves a group.
  explicit Slots(board::Board& board) : board_(board), slots_(board.slots()), ledgers_(board.slots()) {}

  // Slots that were ever in use: 0 … size()-1. Some of them may serve no group.
  std::uint32_t size() const { return static_cast<std::uint32_t>(slots_.size()); }
  const SlotRecord& operator[](std::uint32_t slot) const { return slots_[slot]; }

  // Gives a slot to a group, a further slot too. REQUIRES: no process owns it.
  void engage(std::uint32_t slot, const std::string& group);
  // A new incarnation is about to be started: it gets a ledger of its own. Returns its generation. Throws
  // std::system_error, and then nothing has changed. REQUIRES: as engage().
  std::uint32_t begin_incarnation(std::uint32_t slot, const config::Config& config,
                                  const config::Group& group);

  // Of the incarnation that lives here, or lived here last. Null = there was none.
  board::Ledger* ledger(std::uint32_t slot) const { return ledgers_[slot].get(); }

  void outdate(std::uint32_t slot) { slots_[slot].outdated = true; }
  // The slot serves no group from now on, and its owner is commanded to leave.
  void dismiss(std::uint32_t slot);
  void command_leave(std::uint32_t slot);
  // Commands every incarnation; but `run` and `pause` do not reach those that are leaving.
  void command_all(board::Command command);

 private:
  board::Board& board_;
  std::vector<SlotRecord> slots_;
  std::vector<std::unique_ptr<board::Ledger>> ledgers_;  // by slot
};

}  // namespace postpone::supervisor
