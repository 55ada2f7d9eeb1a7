// Tasks that every sub-worker runs by itself, whatever its task executable has: those that Python's workers of
// Procrastinate have built in. An executable that has a task of that name goes before it.
//
//   builtin:procrastinate.builtin_tasks.remove_old_jobs, and without "builtin:"
//     max_hours         required: jobs whose last event is longer ago are removed
//     queue             only jobs of this queue
//     remove_failed, remove_cancelled, remove_aborted
//                       also jobs that ended so; else only those that have succeeded
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "config/config.h"
#include "libtask/wire/description.h"
#include "sql/job.h"
#include "sql/purge.h"
#include "subworker/task/execution.h"
#include "subworker/task/task_process.h"

namespace postpone::subworker {

// Nothing when no such task is built in.
std::optional<libtask::wire::TaskDescription> builtin_task(const std::string& name);

// The arguments of remove_old_jobs. Throws std::invalid_argument that names the one that is wrong. Pure.
sql::PurgeOptions remove_old_jobs_options(const std::string& args);

// Runs the job here, over a connection of its own, and calls the hooks as TaskProcess::run() does. What goes
// wrong is in the execution. REQUIRES: builtin_task(job.task).
Execution run_builtin(const sql::Job& job, const config::Database& database,
                      std::chrono::milliseconds time_limit, const RunHooks& hooks);

}  // namespace postpone::subworker
