// Who is in the field: every queue in every configuration that is measured, one table.
#pragma once

#include <string>
#include <vector>

#include "bench/compare/contender.h"

namespace postpone::bench {

inline const std::string kGraphileBest = "graphile-worker, best";
inline const std::string kGraphilePlain = "graphile-worker, as it comes";
inline const std::string kGraphileUnlocked = "graphile-worker, best, without locks";
inline const std::string kSameSqlInSets = "the same SQL, in sets";
inline const std::string kSameSqlOneByOne = "the same SQL, one by one";

enum class Peers { none, plain, all };  // plain: as they come
enum class Pace {
  all_jobs,
  by_speed,  // a slow queue gets fewer jobs
  by_wait,   // one that polls does
};
Contenders queues(Peers peers, Pace pace);

// Adds graphile-worker at its best with jobs that have no locks, whatever the load says: what a lock is to be
// measured against.
void add_unlocked_graphile(Contenders& field);

// What Postpone keeps of a job that succeeded.
enum class Keeping {
  history,             // the job, its events and its attempt
  history_one_by_one,  // the same, and no job is fetched with another
  as_peers,            // nothing
};
void add_own(Contenders& field, const std::vector<Keeping>& kept);

// By name: kSameSqlInSets or kSameSqlOneByOne.
void add_same_sql(Contenders& field, const std::string& name);

// Each package of npm that a peer needs, in the order of the field.
std::vector<std::string> peer_packages();

}  // namespace postpone::bench
