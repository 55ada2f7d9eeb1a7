// What the `postpone jobs` commands share: choosing jobs, and telling what became of them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "sql/job_manager.h"
#include "sql/job_set.h"

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

// How such a command goes about it.
struct SetOptions {
  Selection selection;
  bool dry_run = false;
  bool yes = false;
  bool as_json = false;
};
// Adds IDs and filter options, --dry-run, --yes and --json. `options` must outlive the parser.
void add_set_options(CLI::App& command, SetOptions& options);

std::optional<sql::Job> find(sql::JobManager& jobs, sql::JobId id);

// What a command that changes jobs tells of each.
struct Change {
  sql::JobId id = 0;
  std::string result;   // a word of the closed sets in docs/cli.md
  std::string problem;  // why it was not done, for people; empty when it was
};
// What is to be done to a set of jobs.
struct SetWork {
  std::string verb;                      // "cancel", for the question
  std::string result;                    // "cancelled", what it is called when all goes well
  std::vector<sql::JobStatus> statuses;  // those that a filter means which asks for none
  std::function<std::vector<Change>(sql::JobSet& jobs, const std::vector<sql::JobId>& ids)> batch;
};
// Does it, batch by batch, and reports: of jobs named one by one a line each, if they are not too many; of a
// filter's how many there were; the first problems; or all of it as JSON. Asks on a terminal before more than
// a hundred jobs are changed: throws Failure (not_done) when the answer is no.
ExitCode change_set(const Invocation& invocation, const SetOptions& options, const SetWork& work);

// Prints the changes, as lines or as JSON; `not_done` when one of them has a problem.
ExitCode report(const std::vector<Change>& changes, bool as_json);

}  // namespace postpone::cli
