// What `jobs cancel` and `jobs retry` share: they change many jobs, by the thousand.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/jobs/report.h"
#include "cli/jobs/selection.h"
#include "sql/bulk_changes.h"

namespace postpone::cli {

struct BulkOptions {
  Selection selection;
  bool dry_run = false;
  bool yes = false;
  bool as_json = false;
};
// Adds IDs and the options of a filter, --dry-run, --yes and --json. `options` must outlive the parser.
void add_bulk_options(Command& command, BulkOptions& options);

// What is to be done to many jobs at once.
struct BulkWork {
  std::string verb;                      // "cancel", for the question
  std::string result;                    // "cancelled": the result when all goes well
  std::vector<sql::JobStatus> statuses;  // which jobs a filter means that names no status
  std::function<std::vector<Change>(sql::BulkChanges& jobs, const std::vector<sql::JobId>& ids)> batch;
  std::string addition = {};  // ", and how": what people are told of that result besides
};
// Changes the jobs, batch by batch, and prints one of three reports: a line for each job, if the line names
// them by id and they are not too many; the totals and the first problems; or everything as JSON. Asks on a
// terminal before it changes more than a hundred jobs: throws Failure (not_done) when the answer is no.
ExitCode change_jobs(const Invocation& invocation, const BulkOptions& options, const BulkWork& work);

}  // namespace postpone::cli
