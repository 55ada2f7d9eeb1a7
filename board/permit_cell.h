// How a cell on the board is held, by whom, and given away again, for permits of any kind. Inside this room only.
#pragma once

#include "board/board.h"

namespace postpone::board {

// Names an incarnation of a slot: a cell that a dead one held is told from one of its successor's.
inline std::uint64_t tag_of(std::uint32_t slot, std::uint32_t generation) {
  return (std::uint64_t{slot} + 1) << 32 | generation;
}

inline std::uint32_t slot_of(std::uint64_t owner) {
  return static_cast<std::uint32_t>(owner >> 32) - 1;
}

inline bool is_held(const PermitCell& cell) {
  return cell.owner.load(std::memory_order_seq_cst) != 0;
}

inline bool take(PermitCell& cell, std::uint64_t owner) {
  std::uint64_t expected = 0;
  return !is_held(cell) && cell.owner.compare_exchange_strong(expected, owner, std::memory_order_seq_cst);
}

// By compare-exchange: a cell that was reclaimed meanwhile may be another's by now.
inline bool free(PermitCell& cell, std::uint64_t owner) {
  return cell.owner.load(std::memory_order_seq_cst) == owner &&
         cell.owner.compare_exchange_strong(owner, 0, std::memory_order_seq_cst);
}

}  // namespace postpone::board
