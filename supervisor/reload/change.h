// What a new configuration means for a family that runs: which of its members read something that has changed,
// and what else is to be done. Pure: two configurations in, a change out. The supervisor has it carried out.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/keep.h"

namespace postpone::supervisor {

// The keys that a running family cannot change, as far as these two configurations differ in them. A lease
// stands in one database and bears one name; and no job would be safe while members of one family go by
// different values of heartbeat_interval, fence_after and stalled_after.
std::vector<config::SectionAndKey> fixed_keys_changed(const config::Config& now, const config::Config& next);
std::string to_string(const config::SectionAndKey& key);  // "database.url"

struct Change {
  bool everybody = false;          // each sub-worker is to be replaced
  bool housekeeper = false;        // the housekeeper is
  bool listening = false;          // another LISTEN connection
  bool log_levels = false;         // every process takes them as it is
  std::set<std::string> groups;    // by name: their sub-workers are to be replaced
  std::vector<std::string> words;  // what has changed, for people
};

// REQUIRES: the fixed keys are the same. `replaced`: the paths of task executables at which another file
// stands by now.
Change compare(const config::Config& now, const config::Config& next, const std::set<std::string>& replaced);

}  // namespace postpone::supervisor
