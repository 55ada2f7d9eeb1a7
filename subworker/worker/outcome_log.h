// The lines of the log that say what the database did with an outcome. How a job ended is another line:
// task/ending.h.
#pragma once

#include <string>

#include "sql/job.h"

namespace postpone::subworker {

// Says what people may have to know of it: nothing, if it was recorded as it is.
void log_disposition(const sql::Recorded& recorded);

// The database refuses an outcome with this cause, in these words.
void log_refusal(sql::JobId job_id, sql::Cause cause, const std::string& why);

// The sub-worker goes, and the database does not have this outcome.
void log_unrecorded(const sql::Outcome& outcome);

}  // namespace postpone::subworker
