#include "supervisor/crew/arrangement.h"

#include <algorithm>
#include <map>

namespace postpone::supervisor {

Arrangement arrange(std::span<const config::Group> groups, std::span<const SlotUse> slots) {
  Arrangement arrangement;
  std::map<board::GroupId, std::vector<std::uint32_t>> members;  // slots, by group
  std::vector<std::uint32_t> free;
  for (std::uint32_t slot = 0; slot < slots.size(); ++slot) {
    if (slots[slot].group != board::kNoGroup)
      members[slots[slot].group].push_back(slot);
    else if (slots[slot].vacant)
      free.push_back(slot);
  }
  auto next_free = free.begin();
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const auto node = members.extract(board::group_id(groups[i].name));
    std::vector<std::uint32_t> own = node ? node.mapped() : std::vector<std::uint32_t>();
    // Those that are to stay stand in front.
    std::stable_partition(own.begin(), own.end(), [&](auto slot) { return slots[slot].busy; });
    auto have = static_cast<int>(own.size());
    for (; have > groups[i].count; --have)
      arrangement.dismissed.push_back(own[static_cast<std::size_t>(have) - 1]);
    for (; have < groups[i].count && next_free != free.end(); ++have)
      arrangement.engaged.emplace_back(*next_free++, i);
    arrangement.waiting += groups[i].count - have;
  }
  for (const auto& [gone, own] : members)
    arrangement.dismissed.insert(arrangement.dismissed.end(), own.begin(), own.end());
  return arrangement;
}

std::vector<std::uint32_t> to_replace(std::span<const Candidate> candidates,
                                      std::chrono::steady_clock::time_point now) {
  std::set<board::GroupId> proven;  // a sub-worker of the group serves with the new configuration
  for (const Candidate& c : candidates)
    if (c.serving && !c.outdated) proven.insert(c.group);
  const auto holds_up = [&](const Candidate& c) {
    if (!c.serving) return true;  // it, or its successor, is on its way up, or cannot start
    if (!c.leaving) return false;
    return !c.busy || (!proven.contains(c.group) && now - c.leaving_since < kLongJob);
  };
  std::set<board::GroupId> in_transit;
  for (const Candidate& c : candidates)
    if (holds_up(c)) in_transit.insert(c.group);
  std::vector<std::uint32_t> chosen;
  for (const bool busy : {false, true}) {
    for (const Candidate& c : candidates) {
      if (!c.outdated || c.leaving || !c.serving || c.busy != busy || in_transit.contains(c.group)) continue;
      in_transit.insert(c.group);
      chosen.push_back(c.slot);
    }
  }
  return chosen;
}

}  // namespace postpone::supervisor
