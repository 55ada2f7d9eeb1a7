// postpone stalled list | rescue
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <set>

#include "cli/jobs/job_json.h"
#include "cli/jobs/jobs.h"
#include "cli/jobs/stalled.h"
#include "cli/screen/watch.h"
#include "cli/text/text.h"
#include "cli/text/timestamp.h"
#include "cli/text/values.h"

namespace postpone::cli {
namespace {

// ---- list ----------------------------------------------------------------------------------------

struct ListOptions {
  sql::Seconds silent_for = kSilentFor;
  bool as_json = false;
  Watch watch;
};

std::string state_of(const sql::StalledJob& job) {
  if (job.reported) return "reported";
  return job.worker_id ? "silent" : "gone";
}

std::string worker_of(const sql::StalledJob& job) {
  if (!job.worker_name.empty()) return job.worker_name;
  return job.worker_id ? std::to_string(*job.worker_id) + " (foreign)" : "";
}

Table table_of(const std::vector<sql::StalledJob>& jobs) {
  using Align = Table::Align;
  Table table{{{"ID", Align::right},
               {"TASK"},
               {"QUEUE"},
               {"LOCK", Align::left, nullptr, Table::Fit::first},
               {"TRIES", Align::right, nullptr, Table::Fit::spare},
               {"STARTED", Align::left, nullptr, Table::Fit::whole},
               {"WORKER"},
               {"HOST"},
               {"SILENT", Align::right},
               {"STATE", Align::left, nullptr, Table::Fit::whole}},
              {}};
  for (const sql::StalledJob& job : jobs) {
    table.rows.push_back({std::to_string(job.id), printable(job.task), printable(job.queue),
                          printable(job.lock.value_or("")), std::to_string(job.attempts),
                          job.started_at ? to_local(*job.started_at) : "", printable(worker_of(job)),
                          printable(job.host), job.silent_for ? human_duration(*job.silent_for) : "",
                          state_of(job)});
  }
  return table;
}

Json to_json(const sql::StalledJob& job) {
  return {{"id", job.id},
          {"task", job.task},
          {"queue", job.queue},
          {"lock", job.lock ? Json(*job.lock) : Json(nullptr)},
          {"attempts", job.attempts},
          {"started_at", or_null(job.started_at)},
          {"state", state_of(job)},
          {"foreign", job.foreign},
          {"worker_id", job.worker_id ? Json(*job.worker_id) : Json(nullptr)},
          {"worker_name", or_null(job.worker_name)},
          {"host", or_null(job.host)},
          {"supervisor", or_null(job.supervisor)},
          {"last_heartbeat", or_null(job.last_heartbeat)},
          {"silent_s", or_null(job.silent_for)}};
}

std::string draw(const Invocation& invocation, const ListOptions& options) {
  const std::vector<sql::StalledJob> jobs = connect(invocation).stalled_jobs(options.silent_for);
  if (options.as_json) {
    auto listed = Json::array();
    for (const sql::StalledJob& job : jobs) listed.push_back(to_json(job));
    return to_text({{"jobs", std::move(listed)}});
  }
  return jobs.empty() ? "no stalled jobs\n" : render_for_output(table_of(jobs));
}

void add_list(CLI::App& stalled, Invocation& invocation) {
  CLI::App* command = stalled.add_subcommand("list", "List jobs in doing whose worker is gone or silent");
  const auto options = std::make_shared<ListOptions>();
  add_silent_for(*command, options->silent_for);
  command->add_flag("--json", options->as_json, "Print JSON");
  add_watch_option(*command, options->watch);
  command->final_callback([&invocation, options] {
    invocation.run = [&invocation, options] {
      return show(options->watch, [&] { return draw(invocation, *options); });
    };
  });
}

// ---- rescue --------------------------------------------------------------------------------------

struct RescueOptions {
  std::vector<sql::JobId> ids;
  bool all = false;
  sql::StalledAction action = sql::StalledAction::retry;
  sql::Seconds silent_for = kSilentFor;
  bool as_json = false;
};

void set_action(sql::StalledAction& action, const std::string& label) {
  if (label != "retry" && label != "fail") {
    throw CLI::ValidationError("--action",
                               "a stalled job is rescued with retry or fail, not with \"" + label + "\"");
  }
  action = label == "retry" ? sql::StalledAction::retry : sql::StalledAction::fail;
}

// Why nothing was done: the job as it is now, which may have changed since.
Change refusal(sql::JobManager& jobs, sql::JobId id) {
  const std::string name = "job " + std::to_string(id);
  const std::optional<sql::Job> job = find(jobs, id);
  if (!job) return {id, "not_found", "there is no " + name};
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

// Rescues jobs one after the other, each with all others that its worker held.
class Rescue {
 public:
  Rescue(sql::JobManager& jobs, const RescueOptions& options) : jobs_(jobs), options_(options) {}

  // A job that somebody else was faster with is worth a word only when it was named.
  void rescue(sql::JobId id, bool named) {
    if (decided_.contains(id)) return;
    const auto recorded = jobs_.rescue_job({id, options_.action, std::nullopt, options_.silent_for,
                                            "its worker was gone or silent: rescued by hand"});
    bool is_decided = false;
    for (const sql::Recorded& r : recorded) {
      const bool nothing_done =
          r.disposition == sql::Disposition::gone || r.disposition == sql::Disposition::still_running;
      if (nothing_done) continue;
      changes_.push_back(change_of(r, options_.action));
      decided_.insert(r.job_id);
      is_decided = is_decided || r.job_id == id;
    }
    if (!is_decided && named) changes_.push_back(refusal(jobs_, id));
  }

  const std::vector<Change>& changes() const { return changes_; }

 private:
  sql::JobManager& jobs_;
  const RescueOptions& options_;
  std::set<sql::JobId> decided_;
  std::vector<Change> changes_;
};

ExitCode rescue(const Invocation& invocation, const RescueOptions& options) {
  sql::JobManager jobs = connect_to_change(invocation);
  Rescue rescue(jobs, options);
  for (const sql::JobId id : options.ids) rescue.rescue(id, true);
  if (options.all) {
    for (const sql::StalledJob& job : jobs.stalled_jobs(options.silent_for)) rescue.rescue(job.id, false);
  }
  return report(rescue.changes(), options.as_json);
}

void add_rescue(CLI::App& stalled, Invocation& invocation) {
  CLI::App* command = stalled.add_subcommand(
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
      throw CLI::ValidationError("name the jobs by their ids, or all of them with --all");
  });
  command->final_callback([&invocation, options] {
    invocation.run = [&invocation, options] { return rescue(invocation, *options); };
  });
}

}  // namespace

void add_stalled_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* stalled =
      app.add_subcommand("stalled", "Look at jobs whose worker is gone or silent, and rescue them");
  stalled->require_subcommand(1);
  add_list(*stalled, invocation);
  add_rescue(*stalled, invocation);
}

}  // namespace postpone::cli
