// postpone stalled rescue
#include <memory>
#include <set>

#include "cli/connect.h"
#include "cli/jobs/commands.h"
#include "cli/jobs/report.h"
#include "cli/jobs/selection.h"
#include "cli/jobs/signs_of_life.h"
#include "cli/options/parser.h"
#include "cli/options/value_checks.h"

namespace postpone::cli {
namespace {

struct RescueOptions {
  std::vector<sql::JobId> ids;
  bool all = false;
  sql::StalledAction action = sql::StalledAction::retry;
  sql::Seconds silent_for = kSilentFor;
  bool as_json = false;
};

void set_action(sql::StalledAction& action, const std::string& label) {
  if (label != "retry" && label != "fail") {
    throw UsageError("--action", "a stalled job is rescued with retry or fail, not with \"" + label + "\"");
  }
  action = label == "retry" ? sql::StalledAction::retry : sql::StalledAction::fail;
}

// Why the database did nothing, as far as the job shows it now: it may have changed meanwhile.
Change refusal(sql::JobManager& jobs, sql::JobId id) {
  const std::string name = "job " + std::to_string(id);
  const std::optional<sql::Job> job = find(jobs, id);
  if (!job) return {id, kNotFound, "there is no " + name};
  const std::string status(sql::to_string(job->status));
  if (job->status != sql::JobStatus::doing) return {id, status, not_running(*job)};
  return {id, status,
          name + " is not stalled: " + signs_of_life(jobs, *job) + "; `postpone jobs cancel " +
              std::to_string(id) + " --abort` asks it to stop"};
}

Change change_of(const sql::Recorded& recorded, sql::StalledAction action) {
  const std::string name = "job " + std::to_string(recorded.job_id);
  const std::string status(sql::to_string(recorded.status));
  if (recorded.disposition == sql::Disposition::superseded) {
    return {recorded.job_id, "superseded",
            name + " has failed: job " + std::to_string(recorded.by.value_or(0)) +
                " with the same queueing lock waits already"};
  }
  if (recorded.status == sql::JobStatus::todo) return {recorded.job_id, "retried", ""};
  if (action == sql::StalledAction::fail) return {recorded.job_id, status, ""};
  return {recorded.job_id, status, name + " was to be aborted, and is " + status + " now"};
}

// Rescues one job after the other. With a job go all others that its worker held.
class Rescue {
 public:
  Rescue(sql::JobManager& jobs, const RescueOptions& options) : jobs_(jobs), options_(options) {}

  void rescue(sql::JobId id, std::vector<Change>& changes) {
    if (decided_.contains(id)) return;
    const auto recorded = jobs_.rescue_job({id, options_.action, std::nullopt, options_.silent_for,
                                            "its worker was gone or silent: rescued by hand"});
    for (const sql::Recorded& r : recorded) {
      const bool nothing_done =
          r.disposition == sql::Disposition::gone || r.disposition == sql::Disposition::still_running;
      if (nothing_done) continue;
      changes.push_back(change_of(r, options_.action));
      decided_.insert(r.job_id);
    }
    // With --all a job that another session has rescued first is no problem.
    if (!decided_.contains(id) && !options_.all) changes.push_back(refusal(jobs_, id));
  }

 private:
  sql::JobManager& jobs_;
  const RescueOptions& options_;
  std::set<sql::JobId> decided_;
};

ExitCode rescue(const Invocation& invocation, const RescueOptions& options) {
  sql::JobManager jobs = connect_to_change(invocation);
  std::vector<sql::JobId> ids = options.ids;
  if (options.all)
    for (const sql::StalledJob& job : jobs.stalled_jobs(options.silent_for)) ids.push_back(job.id);
  Rescue rescue(jobs, options);
  const Report report = change_one_by_one(
      invocation, ids,
      [&rescue](sql::JobId id, std::vector<Change>& changes) { rescue.rescue(id, changes); });
  print(report, options.as_json);
  return end_of(report);
}

}  // namespace

void add_stalled_rescue(Command& stalled, Invocation& invocation) {
  Command* command = stalled.add_subcommand(
      "rescue", "Let stalled jobs wait again, or fail them; all jobs of a worker at once");
  const auto options = std::make_shared<RescueOptions>();
  job_id(command->add_option("ID", options->ids, "Jobs by their id")->type_name(""));
  command->add_flag("--all", options->all, "Every stalled job");
  command
      ->add_option_function<std::string>(
          "--action", [options](const std::string& label) { set_action(options->action, label); },
          "What becomes of them: they wait again, or they have failed [retry]")
      ->type_name("ACTION:{retry,fail}");
  add_silent_for(*command, options->silent_for);
  command->add_flag("--json", options->as_json, "Print JSON");
  command->parse_complete_callback([options] {
    if (options->ids.empty() != options->all)
      throw UsageError("name the jobs by their ids, or all of them with --all");
  });
  command->final_callback([&invocation, options] {
    invocation.run = [&invocation, options] { return rescue(invocation, *options); };
  });
}

}  // namespace postpone::cli
