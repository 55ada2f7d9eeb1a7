// Why a waiting job waits, and which worker runs a running one, in words. The database knows the workers, but
// not which queues they serve; that stands in the configurations of the supervisors, one of which the caller
// may give.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "sql/overview.h"

namespace postpone::cli {

// A closed set, whose names are part of the JSON form.
enum class Reason {
  scheduled,  // its time has not come
  lock,       // another job of its lock comes first
  no_worker,  // no living worker serves its queue
  busy,       // all workers that serve its queue are at work
  queue,      // other jobs of its queue come first
  unknown,    // without a configuration it is not known which workers serve its queue
  ready,      // nothing: a worker is about to take it
};
std::string_view to_string(Reason reason);

struct WhyWaiting {
  Reason reason = Reason::ready;
  std::string text;                         // for people: "behind job 17 of lock sink, …"
  std::optional<sql::JobId> job_id = {};    // the job that comes first, with Reason::lock
  std::optional<sql::Seconds> due_in = {};  // with Reason::scheduled
};

// A configuration of supervisors, and the name of its file.
struct KnownGroups {
  std::string file;
  config::Config config;
};

// All reasons for which the job waits, at least one. A worker without a heartbeat for `silent_for` does not
// count as living. REQUIRES: the job is in `todo`. Pure.
std::vector<WhyWaiting> why_waiting(const sql::Job& job, const sql::Standing& standing,
                                    const std::vector<sql::WorkerState>& workers,
                                    const std::optional<KnownGroups>& groups, sql::Seconds silent_for);

// "kitchen/1 on host web1 (pid 4711), for 3.2 s"; when that worker is gone or silent, also what a person can
// do. Pure.
std::string who_runs_it(const sql::DoingJob& run, sql::Seconds silent_for);

}  // namespace postpone::cli
