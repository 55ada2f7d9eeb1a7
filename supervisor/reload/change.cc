#include "supervisor/reload/change.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <utility>

#include "config/reload.h"

namespace postpone::supervisor {
namespace {

using config::Config;
using config::Group;

const Group* find_group(const Config& config, const std::string& name) {
  const auto found = std::find_if(config.groups.begin(), config.groups.end(),
                                  [&](const Group& g) { return g.name == name; });
  return found == config.groups.end() ? nullptr : &*found;
}

bool any(const std::vector<config::KeyRule>& changed, bool (*is_so)(config::Reload)) {
  return std::any_of(changed.begin(), changed.end(), [is_so](const auto& key) { return is_so(key.reload); });
}

std::string sub_workers(int count) {
  return fmt::format("{} sub-worker{}", count, count == 1 ? "" : "s");
}

void compare_group(const Group* now, const Group& next, const std::set<std::string>& replaced,
                   Change& change) {
  if (!now) {
    change.words.push_back(fmt::format("new group {} with {}", next.name, sub_workers(next.count)));
    return;
  }
  if (now->count != next.count)
    change.words.push_back(
        fmt::format("group {} has {} instead of {}", next.name, sub_workers(next.count), now->count));
  const bool another_program = now->executable == next.executable && replaced.contains(next.executable);
  if (!any(changed_keys(*now, next), config::replaces_sub_workers) && !another_program) return;
  change.groups.insert(next.name);
  change.words.push_back(fmt::format("group {} has {}, its sub-workers are replaced one by one", next.name,
                                     another_program ? "another task executable" : "changed"));
}

// The housekeeper reads which groups serve a queue, to wake them, and runs their executables, to ask for
// their periodic tasks. The order of the groups is nothing to it. A new housekeeper has to watch other hosts
// for stalled_after before it may hold one for dead, so it is replaced only for what it reads.
bool same_groups_for_housekeeper(const Config& now, const Config& next) {
  return now.groups.size() == next.groups.size() &&
         std::all_of(next.groups.begin(), next.groups.end(), [&](const Group& group) {
           const Group* const former = find_group(now, group.name);
           return former && !any(changed_keys(*former, group), config::replaces_housekeeper);
         });
}

bool uses_one_of(const Config& config, const std::set<std::string>& executables) {
  return std::any_of(config.groups.begin(), config.groups.end(),
                     [&](const Group& group) { return executables.contains(group.executable); });
}

bool same_listening(const Config& now, const Config& next) {
  const auto queues = [](const Config& config) {
    std::set<std::string> all;
    for (const Group& group : config.groups) {
      if (group.queues.empty()) return std::set<std::string>{};
      all.insert(group.queues.begin(), group.queues.end());
    }
    return all;
  };
  return now.database.listen == next.database.listen && now.database.listen_url == next.database.listen_url &&
         now.database.connect_timeout == next.database.connect_timeout && queues(now) == queues(next);
}

}  // namespace

std::vector<config::SectionAndKey> fixed_keys_changed(const Config& now, const Config& next) {
  std::vector<config::SectionAndKey> keys;
  bool times = false;
  for (const auto& rule : changed_keys(now, next)) {
    if (rule.reload != config::Reload::restart) continue;
    const bool is_time = rule.section == "supervisor" && rule.key != "name";
    if (!is_time) keys.emplace_back(rule.section, rule.key);
    times |= is_time;
  }
  // All three or none: each is right only together with the others.
  if (times)
    for (const char* key : {"heartbeat_interval", "fence_after", "stalled_after"})
      keys.emplace_back("supervisor", key);
  return keys;
}

std::string to_string(const config::SectionAndKey& key) {
  return fmt::format("{}.{}", key.first, key.second);
}

Change compare(const Config& now, const Config& next, const std::set<std::string>& replaced) {
  Change change;
  for (const Group& group : next.groups) compare_group(find_group(now, group.name), group, replaced, change);
  for (const Group& group : now.groups)
    if (!find_group(next, group.name)) change.words.push_back(fmt::format("group {} is gone", group.name));
  const auto changed = changed_keys(now, next);
  change.everybody = any(changed, config::replaces_sub_workers);
  if (change.everybody) change.words.push_back("all sub-workers are replaced one by one");
  change.listening = !same_listening(now, next);
  change.log_levels = now.log.level != next.log.level || now.log.levels != next.log.levels;
  if (change.log_levels) change.words.push_back("log levels");
  change.housekeeper = any(changed, config::replaces_housekeeper) ||
                       !same_groups_for_housekeeper(now, next) || uses_one_of(next, replaced);
  if (change.housekeeper) change.words.push_back("the housekeeper is replaced");
  if (change.words.empty() && now != next)
    change.words.push_back("keys that only the supervisor reads; no process is replaced");
  return change;
}

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
