#include "board/wake.h"

#include <algorithm>
#include <utility>

namespace postpone::board {
namespace {

bool is_one_of(GroupId group, std::span<const GroupId> groups) {
  return std::find(groups.begin(), groups.end(), group) != groups.end();
}

std::vector<SlotView> idle_ones(std::span<const SlotView> slots, std::span<const GroupId> groups) {
  std::vector<SlotView> idle;
  std::copy_if(slots.begin(), slots.end(), std::back_inserter(idle), [&](const SlotView& s) {
    return is_one_of(s.group, groups) && s.state == SlotState::idle && !s.rung;
  });
  std::sort(idle.begin(), idle.end(), [](const SlotView& a, const SlotView& b) {
    return std::pair(a.warm, a.since_ns) > std::pair(b.warm, b.since_ns);
  });
  return idle;
}

void ring(const Board& board, std::span<const GroupId> groups, int count) {
  for (const std::uint32_t slot : choose(view(board), groups, count))
    board.slot(slot).doorbell.ring(kRungForWork);
}

}  // namespace

std::vector<SlotView> view(const Board& board) {
  std::vector<SlotView> views;
  const std::uint32_t slots = board.slots();
  for (std::uint32_t i = 0; i < slots; ++i) {
    const Slot& slot = board.slot(i);
    if (slot.generation.load() == 0) continue;
    const bool is_leaving = slot.command.load() == Command::leave;
    views.push_back({i, is_leaving ? kNoGroup : slot.group.load(), slot.state.load(),
                     slot.doorbell.is_rung_for(kRungForWork), slot.warm.load() != 0, slot.since_ns.load()});
  }
  return views;
}

std::vector<std::uint32_t> choose(std::span<const SlotView> slots, std::span<const GroupId> groups,
                                  int count) {
  std::vector<std::uint32_t> chosen;
  for (const SlotView& idle : idle_ones(slots, groups)) {
    if (static_cast<int>(chosen.size()) == count) return chosen;
    chosen.push_back(idle.slot);
  }
  if (static_cast<int>(chosen.size()) == count) return chosen;
  for (const SlotView& s : slots) {
    const bool looking = s.state == SlotState::looking || s.state == SlotState::starting;
    if (is_one_of(s.group, groups) && looking && !s.rung) chosen.push_back(s.slot);
  }
  return chosen;
}

void wake(const Board& board, std::span<const std::string> groups, int count) {
  std::vector<GroupId> ids;
  for (const std::string& group : groups) ids.push_back(group_id(group));
  ring(board, ids, count);
}

void wake_group(const Board& board, GroupId group, int count) {
  ring(board, std::span(&group, 1), count);
}

void wake_sibling(const Board& board, GroupId group) {
  const auto idle = idle_ones(view(board), std::span(&group, 1));
  if (!idle.empty()) board.slot(idle.front().slot).doorbell.ring(kRungForWork);
}

int count_sharers(std::span<const SlotView> slots, GroupId group) {
  const auto shares = [group](const SlotView& s) {
    return s.group == group && (s.state == SlotState::idle || s.state == SlotState::looking ||
                                s.state == SlotState::waiting_for_permit);
  };
  return static_cast<int>(std::ranges::count_if(slots, shares));
}

bool is_anyone_free(const Board& board, GroupId group) {
  const auto holds_none = [](const Slot& slot) {
    const auto used = std::min(slot.jobs_used.load(), kJobsPerSlot);
    return std::all_of(slot.jobs, slot.jobs + used,
                       [](const JobEntry& entry) { return entry.phase.load() == JobPhase::none; });
  };
  return std::ranges::any_of(view(board), [&](const SlotView& s) {
    const bool looks = s.state == SlotState::looking || s.state == SlotState::waiting_for_permit;
    return s.group == group && (s.state == SlotState::idle || (looks && holds_none(board.slot(s.slot))));
  });
}

std::vector<LastFetch> last_fetches(const Board& board, std::span<const SlotView> slots, GroupId group) {
  std::vector<LastFetch> fetches;
  for (const SlotView& slot : slots)
    if (slot.group == group) fetches.push_back(board.slot(slot.slot).last_fetch.load());
  return fetches;
}

void ring_all(const Board& board, std::uint32_t reasons) {
  for (const SlotView& slot : view(board)) board.slot(slot.slot).doorbell.ring(reasons);
  board.header().housekeeper_doorbell.ring(reasons);
}

}  // namespace postpone::board
