// What the `postpone jobs` commands share: choosing jobs, and telling what became of them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "sql/job_manager.h"

namespace postpone::cli {

void add_jobs_list(CLI::App& jobs, Invocation& invocation);
void add_jobs_count(CLI::App& jobs, Invocation& invocation);
void add_jobs_show(CLI::App& jobs, Invocation& invocation);
void add_jobs_cancel(CLI::App& jobs, Invocation& invocation);
void add_jobs_retry(CLI::App& jobs, Invocation& invocation);
void add_jobs_finish(CLI::App& jobs, Invocation& invocation);
void add_jobs_purge(CLI::App& jobs, Invocation& invocation);

// --queue, --task, --lock, --queueing-lock, --status. `filter` must outlive the parser.
void add_filter_options(CLI::App& command, sql::JobFilter& filter);

// Jobs that a command is to change: named one by one, or by a filter.
struct Selection {
  std::vector<sql::JobId> ids;
  sql::JobFilter filter;
};
// Adds IDs and filter options, of which one kind must be used, and only one. `selection` must outlive the
// parser.
void add_selection(CLI::App& command, Selection& selection);
// The ids that are meant; with a filter that asks for no status, only jobs of these statuses.
std::vector<sql::JobId> find(sql::JobManager& jobs, const Selection& selection,
                             const std::vector<sql::JobStatus>& statuses);

std::optional<sql::Job> find(sql::JobManager& jobs, sql::JobId id);

// What a command that changes jobs tells of each.
struct Change {
  sql::JobId id = 0;
  std::string result;   // a word of the closed sets in docs/cli.md
  std::string problem;  // why it was not done, for people; empty when it was
};
// Prints the changes, as lines or as JSON; `not_done` when one of them has a problem.
ExitCode report(const std::vector<Change>& changes, bool as_json);

}  // namespace postpone::cli
