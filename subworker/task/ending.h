// The line of the log that says how a job ended.
#pragma once

#include <string>

#include "sql/job.h"

namespace postpone::subworker {

// "exception in 0.8 ms, attempt 2, retry in 4.0 s: std::runtime_error: no towel". Pure.
std::string describe_ending(const sql::Outcome& outcome);

// Writes it, at level info when the job has succeeded and warning else, with what machines want to know of it
// as fields.
void log_ending(const sql::Job& job, const sql::Outcome& outcome);

}  // namespace postpone::subworker
