// What a new configuration means for a family that runs. Pure: two configurations in, decisions out; who
// carries them out stands in reloading.cc.
//
// Running jobs are never touched. A sub-worker that is no longer wanted, or that is to be replaced by one
// with the new configuration, finishes the job it has, however long that takes, and leaves.
//
//   arrange()       how many of each group there are to be: whom to dismiss, which slots to give to whom
//   to_replace()    who of the outdated goes next: one at a time of each group, so that the others serve on,
//                   and nobody before the one before him serves: a group that cannot start with the new
//                   configuration loses one sub-worker and not all. Only where somebody serves with the new
//                   configuration are others told while one who was told before has a job to finish; or when
//                   that job lasts, so that one of hours does not keep a whole group from being replaced
//   compare()       who has to learn of what has changed
#pragma once

#include <chrono>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "config/keep.h"

namespace postpone::supervisor {

// The keys that a family which runs cannot change, as far as these two differ in them. A lease stands in one
// database and bears one name; and between heartbeat_interval, fence_after and stalled_after no job would be
// safe while some of the family have one idea of them and some another.
std::vector<config::SectionAndKey> fixed_keys_changed(const config::Config& now, const config::Config& next);
std::string to_string(const config::SectionAndKey& key);  // "database.url"

struct Change {
  bool everybody = false;          // each sub-worker is to be replaced
  bool housekeeper = false;        // the housekeeper is
  bool listening = false;          // another LISTEN connection
  bool log_levels = false;         // everybody takes them where he is
  std::set<std::string> groups;    // whose sub-workers are to be replaced, by name
  std::vector<std::string> words;  // what has changed, for people
};

// REQUIRES: the fixed keys are the same. `replaced` are task executables (paths) of which another file stands
// at the same place.
Change compare(const config::Config& now, const config::Config& next, const std::set<std::string>& replaced);

// A slot as arrange() sees it.
struct Post {
  std::uint32_t group = 0;  // the index of its group, board::kNoGroup when it belongs to none
  bool vacant = true;       // nobody lives there or is still to be buried
  bool busy = false;        // a job runs there
};

struct Arrangement {
  std::vector<std::uint32_t> dismissed;                          // slots
  std::vector<std::pair<std::uint32_t, std::uint32_t>> engaged;  // slot, group
  int waiting = 0;  // sub-workers for which there is no slot before somebody has left
};

// `counts`: how many sub-workers each group is to have. Of a group that shrinks those go first that run no
// job. A slot of no group is given away only when it is vacant.
Arrangement arrange(std::span<const int> counts, std::span<const Post> posts);

// A sub-worker as to_replace() sees it.
struct Incumbent {
  std::uint32_t slot = 0;
  std::uint32_t group = 0;
  bool outdated = false;  // was started with a configuration that has changed since
  bool told = false;      // to leave, …
  std::chrono::steady_clock::time_point told_at = {};  // … and when
  bool serving = false;
  bool busy = false;
};

// Who is to be told to leave now.
std::vector<std::uint32_t> to_replace(std::span<const Incumbent> incumbents,
                                      std::chrono::steady_clock::time_point now);

// For so long others wait for one who was told and has a job.
inline constexpr std::chrono::seconds kLongJob{60};

}  // namespace postpone::supervisor
