// When a worker counts as silent, and what the commands say about a worker that does not.
#pragma once

#include <string>

#include "sql/job_manager.h"

namespace postpone::cli {

class Command;

// The default of --silent-for, and of [supervisor] stalled_after.
inline constexpr sql::Seconds kSilentFor{30};

// Adds --silent-for. `silent_for` must outlive the parser.
void add_silent_for(Command& command, sql::Seconds& silent_for);

// "its worker kitchen/3 on host web1 (7) was heard of 2.1 s ago"; empty when the job has no worker.
std::string signs_of_life(sql::JobManager& jobs, const sql::Job& job);

// Why a job that does not run can be neither rescued nor finished by hand. REQUIRES: it is not in `doing`.
std::string not_running(const sql::Job& job);

}  // namespace postpone::cli
