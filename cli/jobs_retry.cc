// postpone jobs retry
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/jobs.h"
#include "cli/moment.h"

namespace postpone::cli {
namespace {

struct RetryCommandOptions {
  Selection selection;
  sql::JobManager::RetryOptions changes;
  Moment moment;
  bool even_running = false;
  bool as_json = false;
};

// Why the job is not to be retried; empty when it may be.
std::string objection(const sql::Job& job, bool even_running) {
  const std::string name = "job " + std::to_string(job.id);
  switch (job.status) {
    case sql::JobStatus::todo:
      return name + " waits already";
    case sql::JobStatus::succeeded:
      return name + " has succeeded; defer a new one to do it again";
    case sql::JobStatus::doing:
      if (even_running) return "";
      return name + " is running; if its worker is gone, `postpone stalled rescue " + std::to_string(job.id) +
             "` lets another run it";
    default:
      return "";
  }
}

Change retry(sql::JobManager& jobs, sql::JobId id, const RetryCommandOptions& options) {
  const std::optional<sql::Job> job = find(jobs, id);
  if (!job) return {id, "not_found", "there is no job " + std::to_string(id)};
  const std::string problem = objection(*job, options.even_running);
  if (!problem.empty()) return {id, std::string(sql::to_string(job->status)), problem};

  const sql::Recorded recorded = jobs.retry(id, options.changes);
  if (recorded.disposition == sql::Disposition::superseded) {
    const std::string by = recorded.by ? "job " + std::to_string(*recorded.by) : "another job";
    return {id, "superseded",
            "job " + std::to_string(id) + " stays as it is: " + by +
                " with the same queueing lock waits already"};
  }
  if (recorded.status != sql::JobStatus::todo) {
    const std::string status(sql::to_string(recorded.status));
    return {id, status, "job " + std::to_string(id) + " was to be aborted, and is " + status + " now"};
  }
  return {id, "retried", ""};
}

ExitCode retry(const Invocation& invocation, RetryCommandOptions& options) {
  sql::JobManager jobs = connect(invocation);
  options.changes.at = options.moment.at;
  options.changes.in = options.moment.in;
  std::vector<Change> changes;
  for (const sql::JobId id : find(jobs, options.selection, {sql::JobStatus::failed})) {
    changes.push_back(retry(jobs, id, options));
  }
  return report(changes, options.as_json);
}

}  // namespace

void add_jobs_retry(CLI::App& jobs, Invocation& invocation) {
  CLI::App* command = jobs.add_subcommand("retry",
                                          "Let jobs that failed, were cancelled or aborted run again; a "
                                          "filter means failed ones unless it says more");
  const auto options = std::make_shared<RetryCommandOptions>();
  add_selection(*command, options->selection);
  add_moment_options(*command, options->moment);
  command->add_option("--new-priority", options->changes.priority, "With another priority")
      ->type_name("NUMBER");
  command->add_option("--new-queue", options->changes.queue, "In another queue")->type_name("NAME");
  command->add_option("--new-lock", options->changes.lock, "With another lock")->type_name("NAME");
  command->add_flag("--even-running", options->even_running, "Jobs that run, too: their worker must be gone");
  command->add_flag("--json", options->as_json, "Print JSON");
  command->final_callback([&invocation, options] {
    invocation.run = [&invocation, options] { return retry(invocation, *options); };
  });
}

}  // namespace postpone::cli
