// postpone jobs cancel
#include <memory>

#include "cli/jobs/bulk_change.h"
#include "cli/jobs/commands.h"
#include "cli/options/parser.h"

namespace postpone::cli {
namespace {

using What = sql::JobChange::What;

struct CancelOptions {
  BulkOptions bulk;
  bool abort = false;
  bool delete_jobs = false;
};

Change change_of(const sql::JobChange& change) {
  const std::string name = "job " + std::to_string(change.id);
  const std::string status(sql::to_string(change.status));
  switch (change.what) {
    case What::cancelled:
      return {change.id, "cancelled", ""};
    case What::deleted:
      return {change.id, "deleted", ""};
    case What::abort_requested:
      return {change.id, "abort_requested", ""};
    case What::failed:
      return {change.id, kDatabaseError, name + ": " + change.problem};
    case What::not_found:
      return {change.id, kNotFound, "there is no " + name};
    default:
      break;
  }
  if (change.status == sql::JobStatus::doing)
    return {change.id, status, name + " is running; --abort asks it to stop"};
  return {change.id, status, name + " has ended (" + status + "); only jobs that wait or run can be stopped"};
}

ExitCode cancel(const Invocation& invocation, const CancelOptions& options) {
  BulkWork work{options.delete_jobs ? "delete" : "cancel",
                options.delete_jobs ? "deleted" : "cancelled",
                {sql::JobStatus::todo},
                {}};
  if (options.abort) work.statuses.push_back(sql::JobStatus::doing);
  work.batch = [&options](sql::BulkChanges& jobs, const std::vector<sql::JobId>& ids) {
    std::vector<Change> changes;
    for (const auto& change : jobs.cancel(ids, options.abort, options.delete_jobs, options.bulk.dry_run))
      changes.push_back(change_of(change));
    return changes;
  };
  return change_jobs(invocation, options.bulk, work);
}

}  // namespace

void add_jobs_cancel(Command& jobs, Invocation& invocation) {
  Command* command =
      jobs.add_subcommand("cancel", "Cancel jobs that wait; with --abort, ask running ones to stop");
  const auto options = std::make_shared<CancelOptions>();
  add_bulk_options(*command, options->bulk);
  command->add_flag("--abort", options->abort, "Ask jobs that run to stop");
  command->add_flag("--delete", options->delete_jobs,
                    "Delete the jobs that wait instead of keeping them as cancelled");
  command->final_callback([&invocation, options] {
    invocation.run = [&invocation, options] { return cancel(invocation, *options); };
  });
}

}  // namespace postpone::cli
