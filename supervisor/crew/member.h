// The members of a family by number: a sub-worker has the number of its slot.
#pragma once

#include <chrono>
#include <cstdint>

#include "board/board.h"

namespace postpone::supervisor {

using Clock = std::chrono::steady_clock;
using MemberId = std::uint32_t;

// Behind all slots that there may ever be, since a reload may add slots.
inline constexpr MemberId kHousekeeper = board::kMaxSlots;
inline constexpr MemberId kPreflight = board::kMaxSlots + 1;
inline constexpr MemberId kMembers = board::kMaxSlots + 2;

constexpr bool is_sub_worker(MemberId member) {
  return member < board::kMaxSlots;
}

}  // namespace postpone::supervisor
