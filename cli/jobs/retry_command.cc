// postpone jobs retry
#include <memory>
#include <optional>
#include <string>

#include "cli/jobs/bulk_change.h"
#include "cli/jobs/commands.h"
#include "cli/options/due_time.h"
#include "cli/options/parser.h"
#include "cli/options/value_checks.h"

namespace postpone::cli {
namespace {

using What = sql::JobChange::What;

struct RetryCommandOptions {
  BulkOptions bulk;
  sql::RetryOptions changes;
  DueTime due;
  bool even_running = false;
};

// Why a job of this status is not retried.
std::string objection(sql::JobId id, sql::JobStatus status, bool even_running) {
  const std::string name = "job " + std::to_string(id);
  switch (status) {
    case sql::JobStatus::todo:
      return name + " waits already";
    case sql::JobStatus::succeeded:
      return name + " has succeeded; defer a new one to do it again";
    case sql::JobStatus::doing:
      return name + " is running; if its worker is gone, `postpone stalled rescue " + std::to_string(id) +
             "` lets another run it";
    default:
      return even_running
                 ? name + " was to be aborted, and is " + std::string(sql::to_string(status)) + " now"
                 : name + " is " + std::string(sql::to_string(status)) + ", and cannot be retried";
  }
}

Change change_of(const sql::JobChange& change, bool even_running) {
  if (change.what == What::retried) return {change.id, "retried", ""};
  const std::string name = "job " + std::to_string(change.id);
  if (change.what == What::failed) return {change.id, kDatabaseError, name + ": " + change.problem};
  if (change.what == What::not_found) return {change.id, kNotFound, "there is no " + name};
  if (change.what == What::superseded) {
    const std::string by = change.by ? "job " + std::to_string(*change.by) : "another job";
    return {change.id, "superseded",
            name + " stays as it is: " + by + " with the same queueing lock waits already"};
  }
  return {change.id, std::string(sql::to_string(change.status)),
          objection(change.id, change.status, even_running)};
}

// What the jobs may spend from now on.
std::string budget_in_words(std::optional<int> attempts) {
  if (!attempts) return ", with a fresh retry budget";
  return ", for " + std::to_string(*attempts) + (*attempts == 1 ? " attempt" : " attempts at most");
}

ExitCode retry(const Invocation& invocation, RetryCommandOptions& options) {
  options.changes.at = options.due.at;
  options.changes.in = options.due.in;
  BulkWork work{"retry", "retried", {sql::JobStatus::failed}, {}, budget_in_words(options.changes.attempts)};
  work.batch = [&options](sql::BulkChanges& jobs, const std::vector<sql::JobId>& ids) {
    std::vector<Change> changes;
    for (const auto& change : jobs.retry(ids, options.changes, options.even_running, options.bulk.dry_run))
      changes.push_back(change_of(change, options.even_running));
    return changes;
  };
  return change_jobs(invocation, options.bulk, work);
}

}  // namespace

void add_jobs_retry(Command& jobs, Invocation& invocation) {
  Command* command = jobs.add_subcommand("retry",
                                         "Let jobs that failed, were cancelled or aborted run again; a "
                                         "filter means failed ones unless it says more");
  const auto options = std::make_shared<RetryCommandOptions>();
  add_bulk_options(*command, options->bulk);
  add_due_time_options(*command, options->due);
  whole_number(command->add_option("--new-priority", options->changes.priority, "With another priority")
                   ->type_name("NUMBER"));
  nonempty(command->add_option("--new-queue", options->changes.queue, "In another queue")->type_name("NAME"));
  nonempty(command->add_option("--new-lock", options->changes.lock, "With another lock")->type_name("NAME"));
  whole_number(
      command
          ->add_option("--attempts", options->changes.attempts,
                       "So many attempts, whatever max_attempts of the task says; without it as many as "
                       "a new job has")
          ->type_name("NUMBER"),
      1);
  command->add_flag("--even-running", options->even_running,
                    "Also jobs that run: make sure that their worker is gone");
  command->final_callback([&invocation, options] {
    invocation.run = [&invocation, options] { return retry(invocation, *options); };
  });
}

}  // namespace postpone::cli
