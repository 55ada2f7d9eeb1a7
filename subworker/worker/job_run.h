// One job on its way through this sub-worker, and the one place that announces it: each step goes to all who
// have to know of it, in an order that makes a death at any moment safe.
//
//   step             the board's state     the held job   the log               what people see (Reporter)
//   (constructor)    running                              its lines name it     how long it has waited
//   begins()                               running                              the job, in `ps` too
//   progresses()                                                                its progress
//   ends()                                 ended          one line, how         it ended; the counts
//   is_taken_away()                        is gone        one line, how         it ended; the counts
//   is_left()                              given back     nothing               nothing
//
// The last of them is the last thing of all: after it the housekeeper may decide by the board.
#pragma once

#include <chrono>
#include <cstdint>

#include "board/board.h"
#include "sql/job.h"
#include "subworker/worker/held_jobs.h"
#include "subworker/worker/reporter.h"
#include "sys/log.h"

namespace postpone::subworker {

class JobRun {
 public:
  // All must outlive it.
  JobRun(HeldJob& held, HeldJobs& all, board::Slot& slot, Reporter& reporter);

  const sql::Job& job() const { return held_.job; }

  // The task process is about to get the job.
  void begins(std::chrono::milliseconds time_limit);
  void progresses(const sql::Progress& progress);

  // Each is the last call. It has ended so, or was given back without having begun.
  void ends(sql::Outcome outcome);
  // It was stopped because it is not ours any more: nothing is recorded of it.
  void is_taken_away(const sql::Outcome& told);
  // It has not begun, and is for a worker that has its task.
  void is_left();

 private:
  void announce_end(const sql::Outcome& outcome);

  HeldJob& held_;
  HeldJobs& all_;
  Reporter& reporter_;
  const sys::LogContext context_;
};

// A job that has run as one of a set, and was plain: it is announced when that is known, all at once.
void announce_plain(HeldJob& held, HeldJobs& all, Reporter& reporter, const libtask::wire::PlainRun& run,
                    sql::Outcome outcome);

}  // namespace postpone::subworker
