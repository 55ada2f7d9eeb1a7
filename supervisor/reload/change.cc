#include "supervisor/reload/change.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
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

}  // namespace postpone::supervisor
