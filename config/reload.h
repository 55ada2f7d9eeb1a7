// What a reload does with each key: a column of the tables in sections.cc. The supervisor decides by it
// (supervisor/reload/change.cc), and tests hold the documents to it.
#pragma once

#include <string_view>
#include <vector>

#include "config/config.h"

namespace postpone::config {

// A key with a new value …
enum class Reload {
  restart,  // … keeps the old one until the supervisor is started again.
  at_once,  // … is in force at once: the supervisor obeys it, or passes it on to the processes that run.
  sub_workers,  // … replaces all sub-workers, one by one in each group, each after its job.
  housekeeper,  // … replaces the housekeeper.
  all,          // … replaces all sub-workers, and the housekeeper.
  group,        // … replaces the sub-workers of its group.
  group_and_housekeeper,
};
std::string_view to_string(Reload reload);  // "restart", "at once", …: as docs/configuration.md has it

struct KeyRule {
  std::string_view section;  // "database", "group"
  std::string_view key;
  Reload reload = Reload::restart;
};
// All keys that there are, in the order of config/reference.toml.
std::vector<KeyRule> key_rules();

// The keys in which two configurations differ, without those of groups; and those in which two groups differ.
std::vector<KeyRule> changed_keys(const Config& now, const Config& next);
std::vector<KeyRule> changed_keys(const Group& now, const Group& next);

bool replaces_sub_workers(Reload reload);  // of all groups, or of the key's group
bool replaces_housekeeper(Reload reload);

}  // namespace postpone::config
