// What becomes of a job after a run: pure functions, from what happened and what the task wants to the
// outcome that is recorded.
#pragma once

#include <optional>
#include <string>

#include "config/config.h"
#include "libtask/wire/description.h"
#include "libtask/wire/ledger.h"
#include "sql/job.h"
#include "subworker/task/execution.h"

namespace postpone::subworker {

// The outcome of a run. `chance` lies in [0, 1), and decides where within the task's jitter a wait is (0.5 = it is
// the wait itself). `task` is what the task executable says of the job's task; the group says what is kept
// of it. A job that asked for what the database cannot store (a queue name too long) has failed, so that the
// outcome is one that sql::to_json() takes.
sql::Outcome decide(const sql::Job& job, const Execution& execution,
                    const libtask::wire::TaskDescription& task, const config::Group& group,
                    double chance = 0.5);

// The outcome of a job that was plain, and ran so.
sql::Outcome plain_success(const sql::Job& job, const libtask::wire::PlainRun& run,
                           const config::Group& group);

// Type and message of what was thrown, or the message alone: "std::runtime_error: no towel", "int".
std::string explain(const sql::Outcome& outcome);

// The outcome of a job that was fetched and is not begun: it waits again as if nothing had happened.
sql::Outcome given_back(const sql::Job& job);

// The outcome of a run that was stopped because the job is not ours any more. It is logged and counted, and
// not recorded.
sql::Outcome taken_away(const sql::Job& job, const Execution& execution);

// The outcome of a job whose task the group's executable does not have, without a run. REQUIRES: the group does not
// leave such jobs.
sql::Outcome unknown_task(const sql::Job& job, const libtask::wire::Description& description,
                          const config::Group& group, double chance = 0.5);

}  // namespace postpone::subworker
