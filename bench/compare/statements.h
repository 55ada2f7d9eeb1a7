// SQL that several contenders share. All jobs are of queue m.
#pragma once

#include <string>

#include "bench/compare/load.h"

namespace postpone::bench {

// Defers the jobs of a load by one call of the batch function, as an application does.
std::string defer_all(const Load& load);
// Defers one of them.
std::string defer_one(const Load& load);

// Works off what waits in the queue, until nothing does, as a sub-worker's visits do, but with nothing
// between them: fetch a set, commit, record it together with the next fetch.
std::string work_off_in_sets(int set_size);

}  // namespace postpone::bench
