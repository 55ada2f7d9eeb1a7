#include "supervisor/crew/standing.h"

#include <spdlog/fmt/fmt.h>

#include <set>

namespace postpone::supervisor {

Standing judge_standing(const config::Config& config, const Roster& roster, const Slots& slots) {
  std::set<board::GroupId> served;
  for (std::uint32_t slot = 0; slot < slots.size(); ++slot)
    if (slots[slot].serves() && !slots[slot].leaving && roster.state(slot) == Roster::State::serving)
      served.insert(slots[slot].group);
  Standing standing;
  standing.wanted = roster.wanted();
  standing.failing = roster.failing();
  standing.housekeeper_serves = roster.state(kHousekeeper) == Roster::State::serving;
  for (const config::Group& group : config.groups)
    if (standing.unserved.empty() && !served.contains(board::group_id(group.name)))
      standing.unserved = group.name;
  return standing;
}

std::string failing_words(const Standing& standing) {
  return fmt::format("{} of {} processes do not get ready; they are started again with growing waits",
                     standing.failing, standing.wanted);
}

}  // namespace postpone::supervisor
