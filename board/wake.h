// Which sub-workers to wake for new work. The choice is a pure function of a picture of the board;
// supervisor, housekeeper and sub-workers all use it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "board/board.h"

namespace postpone::board {

// What the choice needs to know of a slot.
struct SlotView {
  std::uint32_t slot = 0;
  GroupId group = kNoGroup;
  SlotState state = SlotState::vacant;
  bool rung = false;  // for work
  bool warm = false;  // Slot::warm
  std::int64_t since_ns = 0;
};

// The slots in use, as the board shows them at this moment. A sub-worker that was commanded to leave counts
// to no group: it would swallow the ring.
std::vector<SlotView> view(const Board& board);

// Which slots of these groups to ring for `count` new jobs: the idle ones that are not rung yet, first those
// with a warm connection, of these the most recently idle first (its caches are warm, too), never more than there are jobs. When there are fewer than
// `count` of them, also every one that is starting or looking: its look may have begun before the jobs were
// there, and it would turn idle without having seen them. One that runs a job looks when the job has ended,
// and needs no bell.
std::vector<std::uint32_t> choose(std::span<const SlotView> slots, std::span<const GroupId> groups,
                                  int count);

// Rings those that choose() names. `groups` by name.
void wake(const Board& board, std::span<const std::string> groups, int count);

// The same for one group, which a job has that waits again.
void wake_group(const Board& board, GroupId group, int count);

// Rings the one idle slot of `group` that choose() would name first: the chain by which a sub-worker that found
// work, and saw that there may be more, lets one sibling look.
void wake_sibling(const Board& board, GroupId group);

// How many sub-workers of `group` would share what waits now: those that are idle or look for work.
int count_sharers(std::span<const SlotView> slots, GroupId group);

// Is a sub-worker of `group` without a job: idle, or looking for work and holding none? One that records what it has run holds that.
bool is_anyone_free(const Board& board, GroupId group);

// The last fetches of the sub-workers of `group`, of which `slots` is a view().
std::vector<LastFetch> last_fetches(const Board& board, std::span<const SlotView> slots, GroupId group);

// Rings every sub-worker and the housekeeper.
void ring_all(const Board& board, std::uint32_t reasons);

}  // namespace postpone::board
