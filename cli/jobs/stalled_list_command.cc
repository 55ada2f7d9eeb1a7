// postpone stalled list
#include <memory>

#include "cli/connect.h"
#include "cli/jobs/commands.h"
#include "cli/jobs/job_json.h"
#include "cli/jobs/signs_of_life.h"
#include "cli/options/parser.h"
#include "cli/options/watch.h"
#include "cli/screen/output.h"
#include "cli/text/table.h"
#include "cli/text/text.h"
#include "cli/text/timestamp.h"

namespace postpone::cli {
namespace {

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

Json stalled_json(const sql::StalledJob& job) {
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
    for (const sql::StalledJob& job : jobs) listed.push_back(stalled_json(job));
    return to_text({{"jobs", std::move(listed)}});
  }
  return jobs.empty() ? "no stalled jobs\n" : render_for_output(table_of(jobs));
}

}  // namespace

void add_stalled_list(Command& stalled, Invocation& invocation) {
  Command* command = stalled.add_subcommand("list", "List jobs in doing whose worker is gone or silent");
  const auto options = std::make_shared<ListOptions>();
  add_silent_for(*command, options->silent_for);
  command->add_flag("--json", options->as_json, "Print JSON");
  add_watched_page(*command, invocation, options->watch,
                   [&invocation, options] { return draw(invocation, *options); });
}

}  // namespace postpone::cli
