// What a waiting job waits for, in words: as far as the database knows it, and a configuration where one was
// given. The database knows leases, but not which queues their holders serve.
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
  no_worker,  // no worker that is alive would take it
  busy,       // those that would are at work
  queue,      // other jobs of the queue come first
  unknown,    // which workers serve its queue the database does not know
  ready,      // nothing: it is about to be taken
};
std::string_view to_string(Reason reason);

struct WaitsFor {
  Reason reason = Reason::ready;
  std::string text;                         // for people: "behind job 17 of lock sink, …"
  std::optional<sql::JobId> job_id = {};    // the job that comes first, with Reason::lock
  std::optional<sql::Seconds> due_in = {};  // with Reason::scheduled
};

// The supervisors' configuration, and what it is called.
struct KnownGroups {
  std::string file;
  config::Config config;
};

// REQUIRES: the job waits (todo). Workers that were not heard of for `silent_for` do not count. Never empty.
// Pure.
std::vector<WaitsFor> what_it_waits_for(const sql::Job& job, const sql::Standing& standing,
                                        const std::vector<sql::WorkerState>& workers,
                                        const std::optional<KnownGroups>& groups, sql::Seconds silent_for);

// "kitchen/1 on host web1 (pid 4711), for 3.2 s"; of a worker that is gone or silent also what to do.
// REQUIRES: standing.run. Pure.
std::string who_runs_it(const sql::Run& run, sql::Seconds silent_for);

}  // namespace postpone::cli
