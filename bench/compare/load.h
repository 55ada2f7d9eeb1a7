// What a contender is asked to do: a value, which the peers' programs get as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace postpone::bench {

struct Load {
  enum class Asked {
    backlog,   // jobs wait; work them off
    arrivals,  // jobs come one by one, each when the one before has ended
    defers,    // create jobs, one a call
    batch,     // create jobs, all in one call
    rest,      // nothing is to be done for so many seconds
  };
  Asked asked = Asked::backlog;
  int jobs = 0;
  int concurrency = 1;
  int ms = 0;          // that a job takes; 0: it does nothing
  int long_every = 0;  // each so manieth job takes long_ms; 0: none
  int long_ms = 0;
  bool own_locks = false;  // each job has a lock that no other has
  int seconds = 0;

  bool is_noop() const { return ms == 0 && long_every == 0; }
  // Jobs a second that so many workers would do if a queue cost nothing. REQUIRES: !is_noop().
  double ideal_jobs_per_s() const;
};

nlohmann::json json_of(const Load& load);

}  // namespace postpone::bench
