// The commands below `postpone jobs` and `postpone stalled`; each stands in a file of its own.
#pragma once

#include "cli/command.h"

namespace postpone::cli {

void add_jobs_list(Command& jobs, Invocation& invocation);
void add_jobs_count(Command& jobs, Invocation& invocation);
void add_jobs_show(Command& jobs, Invocation& invocation);
void add_jobs_cancel(Command& jobs, Invocation& invocation);
void add_jobs_retry(Command& jobs, Invocation& invocation);
void add_jobs_finish(Command& jobs, Invocation& invocation);
void add_jobs_purge(Command& jobs, Invocation& invocation);
void add_jobs_replay(Command& jobs, Invocation& invocation);

void add_stalled_list(Command& stalled, Invocation& invocation);
void add_stalled_rescue(Command& stalled, Invocation& invocation);

}  // namespace postpone::cli
