#include "supervisor/reload/change.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <utility>

namespace postpone::supervisor {
namespace {

using config::Config;
using config::Group;

const Group* find_group(const Config& config, const std::string& name) {
  const auto found = std::find_if(config.groups.begin(), config.groups.end(),
                                  [&](const Group& g) { return g.name == name; });
  return found == config.groups.end() ? nullptr : &*found;
}

// But for their number, which the supervisor alone goes by.
bool same_for_sub_workers(Group now, const Group& next) {
  now.count = next.count;
  return now == next;
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
  if (same_for_sub_workers(*now, next) && !another_program) return;
  change.groups.insert(next.name);
  change.words.push_back(fmt::format("group {} has {}, its sub-workers are replaced one by one", next.name,
                                     another_program ? "another task executable" : "changed"));
}

// All but what the supervisor alone goes by, and what cannot change.
bool same_for_everybody(Config now, const Config& next) {
  now.groups = next.groups;
  now.stalled = next.stalled;
  now.status = next.status;
  now.log.level = next.log.level;  // the board carries it
  now.log.levels = next.log.levels;
  now.database.pool_size = next.database.pool_size;
  now.database.listen = next.database.listen;
  now.database.listen_url = next.database.listen_url;
  now.supervisor.respawn_backoff = next.supervisor.respawn_backoff;
  now.supervisor.respawn_backoff_max = next.supervisor.respawn_backoff_max;
  return now == next;
}

// The housekeeper reads which groups serve a queue, to wake them, and runs their executables, to ask for
// their periodic tasks. The order of the groups is nothing to it. A new housekeeper has to watch other hosts
// for stalled_after before it may hold one for dead, so it is replaced only for what it reads.
bool same_for_housekeeper(const Group& a, const Group& b) {
  return a.queues == b.queues && a.executable == b.executable && a.arguments == b.arguments &&
         a.environment == b.environment && a.user == b.user;
}

bool same_groups_for_housekeeper(const Config& now, const Config& next) {
  return now.groups.size() == next.groups.size() &&
         std::all_of(next.groups.begin(), next.groups.end(), [&](const Group& group) {
           const Group* const former = find_group(now, group.name);
           return former && same_for_housekeeper(*former, group);
         });
}

bool same_for_housekeeper(Config now, const Config& next) {
  if (!same_groups_for_housekeeper(now, next) || now.stalled != next.stalled) return false;
  now.supervisor.start_deadline = next.supervisor.start_deadline;
  now.supervisor.subworker_timeout = next.supervisor.subworker_timeout;
  return same_for_everybody(std::move(now), next);
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
  if (now.database.url != next.database.url) keys.emplace_back("database", "url");
  if (now.supervisor.name != next.supervisor.name) keys.emplace_back("supervisor", "name");
  if (now.status.socket != next.status.socket) keys.emplace_back("status", "socket");
  if (now.status.mode != next.status.mode) keys.emplace_back("status", "mode");
  if (now.status.group != next.status.group) keys.emplace_back("status", "group");
  if (now.supervisor.heartbeat_interval != next.supervisor.heartbeat_interval ||
      now.supervisor.fence_after != next.supervisor.fence_after ||
      now.supervisor.stalled_after != next.supervisor.stalled_after) {
    // All three or none: each is right only together with the others.
    keys.emplace_back("supervisor", "heartbeat_interval");
    keys.emplace_back("supervisor", "fence_after");
    keys.emplace_back("supervisor", "stalled_after");
  }
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
  change.everybody = !same_for_everybody(now, next);
  if (change.everybody) change.words.push_back("all sub-workers are replaced one by one");
  change.listening = !same_listening(now, next);
  change.log_levels = now.log.level != next.log.level || now.log.levels != next.log.levels;
  if (change.log_levels) change.words.push_back("log levels");
  change.housekeeper = !same_for_housekeeper(now, next) || uses_one_of(next, replaced);
  if (change.words.empty() && now != next) change.words.push_back("what the supervisor itself obeys");
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
