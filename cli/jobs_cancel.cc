// postpone jobs cancel
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/jobs.h"

namespace postpone::cli {
namespace {

struct CancelOptions {
  Selection selection;
  bool abort = false;
  bool delete_jobs = false;
  bool as_json = false;
};

Change refusal(sql::JobId id, const std::optional<sql::Job>& job) {
  const std::string name = "job " + std::to_string(id);
  if (!job) return {id, "not_found", "there is no " + name};
  const std::string status(sql::to_string(job->status));
  if (job->status == sql::JobStatus::doing) {
    return {id, status, name + " is running; --abort asks it to stop"};
  }
  return {id, status, name + " has ended (" + status + "); only jobs that wait or run can be stopped"};
}

Change cancel(sql::JobManager& jobs, sql::JobId id, const CancelOptions& options) {
  const bool stopped = jobs.cancel(id, options.abort, options.delete_jobs);
  const std::optional<sql::Job> job = find(jobs, id);
  if (!stopped) return refusal(id, job);
  if (!job) return {id, "deleted", ""};
  return {id, job->status == sql::JobStatus::cancelled ? "cancelled" : "abort_requested", ""};
}

ExitCode cancel(const Invocation& invocation, const CancelOptions& options) {
  sql::JobManager jobs = connect(invocation);
  std::vector<sql::JobStatus> statuses = {sql::JobStatus::todo};
  if (options.abort) statuses.push_back(sql::JobStatus::doing);
  std::vector<Change> changes;
  for (const sql::JobId id : find(jobs, options.selection, statuses)) {
    changes.push_back(cancel(jobs, id, options));
  }
  return report(changes, options.as_json);
}

}  // namespace

void add_jobs_cancel(CLI::App& jobs, Invocation& invocation) {
  CLI::App* command =
      jobs.add_subcommand("cancel", "Cancel jobs that wait; with --abort, ask running ones to stop");
  const auto options = std::make_shared<CancelOptions>();
  add_selection(*command, options->selection);
  command->add_flag("--abort", options->abort, "Ask jobs that run to stop");
  command->add_flag("--delete", options->delete_jobs,
                    "Delete the jobs that wait instead of keeping them as cancelled");
  command->add_flag("--json", options->as_json, "Print JSON");
  command->final_callback([&invocation, options] {
    invocation.run = [&invocation, options] { return cancel(invocation, *options); };
  });
}

}  // namespace postpone::cli
