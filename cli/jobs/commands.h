// The commands below `postpone jobs` and `postpone stalled`; each stands in a file of its own.
#pragma once

#include "cli/command.h"

namespace postpone::cli {

void add_jobs_list(CLI::App& jobs, Invocation& invocation);
void add_jobs_count(CLI::App& jobs, Invocation& invocation);
void add_jobs_show(CLI::App& jobs, Invocation& invocation);
void add_jobs_cancel(CLI::App& jobs, Invocation& invocation);
void add_jobs_retry(CLI::App& jobs, Invocation& invocation);
void add_jobs_finish(CLI::App& jobs, Invocation& invocation);
void add_jobs_purge(CLI::App& jobs, Invocation& invocation);

void add_stalled_list(CLI::App& stalled, Invocation& invocation);
void add_stalled_rescue(CLI::App& stalled, Invocation& invocation);

}  // namespace postpone::cli
