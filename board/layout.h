// The whole of the shared memory, in order. Inside this room only.
//
// Zeroed pages are a valid empty board but for the header and the doorbells, so that pages are only touched
// when something is written to them. (Reading touches them too: the pages of a memfd have no common zero
// page.)
#pragma once

#include <algorithm>

#include "board/board.h"
#include "board/task_permits.h"

namespace postpone::board {

struct Layout {
  Header header;
  PermitCell permits[kMaxSlots];
  TaskLimit task_limits[kMaxLimitedTasks];
  Grave graves[kMaxGraves];
  Slot slots[kMaxSlots];
};

// Every process uses these at once, so none of them may hide a lock, which would be one process's own.
static_assert(std::atomic<std::uint64_t>::is_always_lock_free &&
              std::atomic<std::int64_t>::is_always_lock_free);
static_assert(std::atomic<std::uint32_t>::is_always_lock_free &&
              std::atomic<std::int32_t>::is_always_lock_free);
static_assert(std::atomic<SlotState>::is_always_lock_free && std::atomic<Command>::is_always_lock_free);
static_assert(std::atomic<JobPhase>::is_always_lock_free);

// How many slots and permits there are to look through, whatever the header says.
inline std::uint32_t slots_in_use(const Board& board) {
  return std::min(board.header().slots.load(std::memory_order_relaxed), kMaxSlots);
}
inline std::uint32_t permits_in_use(const Board& board) {
  return std::min(board.header().permits.load(std::memory_order_relaxed), kMaxSlots);
}

}  // namespace postpone::board
