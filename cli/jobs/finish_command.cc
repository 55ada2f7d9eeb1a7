// postpone jobs finish
#include <iostream>
#include <memory>

#include "cli/connect.h"
#include "cli/jobs/commands.h"
#include "cli/jobs/report.h"
#include "cli/jobs/selection.h"
#include "cli/jobs/signs_of_life.h"
#include "cli/options/parser.h"
#include "cli/options/value_checks.h"

namespace postpone::cli {
namespace {

struct FinishOptions {
  std::vector<sql::JobId> ids;
  sql::JobStatus status = sql::JobStatus::failed;
  sql::Seconds silent_for = kSilentFor;
  bool force = false;
  bool as_json = false;
};

void set_status(sql::JobStatus& status, const std::string& label) {
  const auto parsed = sql::parse_job_status(label);
  if (parsed != sql::JobStatus::succeeded && parsed != sql::JobStatus::failed) {
    throw UsageError("--status",
                     "a job is finished by hand as succeeded or failed, not as \"" + label + "\"");
  }
  status = *parsed;
}

// Why the database did nothing, as far as the job shows it now: it may have changed meanwhile.
Change refusal(sql::JobManager& jobs, sql::JobId id) {
  const std::optional<sql::Job> job = find(jobs, id);
  if (!job) return {id, kNotFound, "there is no job " + std::to_string(id)};
  const std::string status(sql::to_string(job->status));
  if (job->status != sql::JobStatus::doing) return {id, status, not_running(*job)};
  return {id, status,
          "job " + std::to_string(id) + " is running: " + signs_of_life(jobs, *job) +
              "; --force finishes it all the same, though it may run on"};
}

// The signs of life of the worker that runs the job; empty when none does.
std::string signs_of_runner(sql::JobManager& jobs, sql::JobId id) {
  const std::optional<sql::Job> job = find(jobs, id);
  return job && job->status == sql::JobStatus::doing ? signs_of_life(jobs, *job) : "";
}

// Until the worker has obeyed the request to stop, two jobs of the lock may run at once.
void warn_of_two(sql::JobId id, const std::string& signs) {
  if (signs.empty()) return;
  std::cerr << "postpone: job " << id << " is finished by force, and its lock is free: " << signs
            << ", and may run it until it has obeyed the request to stop\n";
}

Change finish(sql::JobManager& jobs, sql::JobId id, const FinishOptions& options) {
  const std::string signs = options.force ? signs_of_runner(jobs, id) : "";
  const auto recorded = jobs.finish_by_hand(id, options.status, options.silent_for, options.force);
  if (!recorded || recorded->disposition != sql::Disposition::recorded) return refusal(jobs, id);
  warn_of_two(id, signs);
  return {id, std::string(sql::to_string(recorded->status)), ""};
}

ExitCode finish(const Invocation& invocation, const FinishOptions& options) {
  sql::JobManager jobs = connect_to_change(invocation);
  const Report report = change_one_by_one(
      invocation, options.ids,
      [&](sql::JobId id, std::vector<Change>& changes) { changes.push_back(finish(jobs, id, options)); });
  print(report, options.as_json);
  return end_of(report);
}

}  // namespace

void add_jobs_finish(Command& jobs, Invocation& invocation) {
  Command* command =
      jobs.add_subcommand("finish", "End jobs that no worker runs any more, and release their locks");
  const auto options = std::make_shared<FinishOptions>();
  job_id(command->add_option("ID", options->ids, "Jobs by their id")->type_name("")->required());
  command
      ->add_option_function<std::string>(
          "--status", [options](const std::string& label) { set_status(options->status, label); },
          "How they ended")
      ->type_name("STATUS:{succeeded,failed}")
      ->required();
  add_silent_for(*command, options->silent_for);
  command->add_flag(
      "--force", options->force,
      "Even if the worker shows signs of life. It is asked to stop, but the lock is free at once: "
      "two jobs of the lock may run together");
  command->add_flag("--json", options->as_json, "Print JSON");
  command->final_callback([&invocation, options] {
    invocation.run = [&invocation, options] { return finish(invocation, *options); };
  });
}

}  // namespace postpone::cli
