// How one run of a job in the task process ended: a closed set, decided upon in outcome.cc and nowhere else.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "libtask/wire/frame.h"
#include "sql/job.h"
#include "sys/oom.h"
#include "sys/process.h"

namespace postpone::subworker {

// Why the sub-worker asked a task to stop. The first reason stays.
enum class StopReason {
  requested,   // an abort of the job was requested
  time_limit,  // it outlasted its time limit
  shutdown,    // this sub-worker has to go, and its grace is over
  taken,       // the database says that the job is not ours any more: its lock may be another's by now
  fenced,      // our lease is lost, or was out of sight for too long: another host may take the job
};

// The handler ended and the task process said how.
struct Returned {
  libtask::wire::Result result;
};
// The task process ended without a result: a crash, an exit(), or our SIGKILL after a stop.
struct Died {
  sys::ExitReport report;
  // With SIGKILL: was it the kernel, for want of memory?
  sys::OomWitness::Verdict oom = sys::OomWitness::Verdict::no;
};
// The job does not fit into a frame: nothing was sent, and the task process lives.
struct Oversized {
  std::string what;
};
// The task process said something that the protocol does not know; it was killed.
struct Garbled {
  std::string what;
};
// The job wrote more output than it may; the task process was killed.
struct Flooded {
  std::int64_t max_output;
};

// The task process and what it had started took more memory than memory_limit; all of it was killed.
struct Outgrown {
  std::int64_t bytes;
  std::int64_t memory_limit;
};

struct Execution {
  std::variant<Returned, Died, Garbled, Flooded, Outgrown, Oversized> end;
  std::optional<StopReason> stop;  // why the task had been asked to stop, before it ended
  std::chrono::duration<double> run_time{0};
  std::chrono::duration<double> cpu_time{0};
  std::int64_t max_rss_bytes = 0;
  std::string stderr_tail;
  std::optional<std::string> value;       // what the handler gave back, JSON text; counts if it has succeeded
  std::optional<sql::Progress> progress;  // as it was told last
};

}  // namespace postpone::subworker
