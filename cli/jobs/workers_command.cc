// postpone workers
#include <memory>

#include "cli/connect.h"
#include "cli/jobs/job_json.h"
#include "cli/jobs/signs_of_life.h"
#include "cli/jobs/worker_text.h"
#include "cli/options/parser.h"
#include "cli/options/value_checks.h"
#include "cli/options/watch.h"
#include "cli/screen/output.h"
#include "cli/text/colour.h"
#include "cli/text/table.h"
#include "cli/text/text.h"

namespace postpone::cli {
namespace {

struct WorkersOptions {
  std::optional<std::string> host;
  std::optional<std::string> group;
  bool busy = false;
  bool idle = false;
  bool silent = false;
  sql::Seconds silent_for = kSilentFor;
  bool as_json = false;
  Watch watch;
};

bool is_silent(const sql::WorkerState& worker, const WorkersOptions& options) {
  return worker.lease.silent_for > options.silent_for;
}

bool is_wanted(const sql::WorkerState& worker, const WorkersOptions& options) {
  if (options.host && worker.lease.host != *options.host) return false;
  if (options.group && group_of(worker.lease) != *options.group) return false;
  if (options.busy && worker.runs.empty()) return false;
  if (options.idle && !worker.runs.empty()) return false;
  return !options.silent || is_silent(worker, options);
}

std::string state_of(const sql::WorkerState& worker, const WorkersOptions& options) {
  if (is_silent(worker, options)) return "silent";
  return worker.runs.empty() ? "idle" : "busy";
}

Style style_of_state(std::string_view state) {
  if (state == "silent") return Style::bad;
  return state == "busy" ? Style::busy : Style::faint;
}

// Shows the first job that the worker runs, and counts the others.
std::vector<std::string> row_of(const sql::WorkerState& worker, const WorkersOptions& options) {
  const sql::Lease& lease = worker.lease;
  std::vector<std::string> row = {std::to_string(lease.id),
                                  lease.foreign ? "(foreign)" : printable(lease.name),
                                  printable(lease.host),
                                  lease.foreign ? "" : std::to_string(lease.pid),
                                  state_of(worker, options),
                                  human_duration(lease.silent_for),
                                  "",
                                  "",
                                  ""};
  if (worker.runs.empty()) return row;
  const sql::DoingJob& run = worker.runs.front();
  row[6] = std::to_string(run.job_id);
  row[7] = running_for(run);
  row[8] = printable(run.task);
  if (worker.runs.size() > 1) row[8] += " (and " + std::to_string(worker.runs.size() - 1) + " more)";
  return row;
}

Table table_of(const std::vector<sql::WorkerState>& workers, const WorkersOptions& options) {
  using Align = Table::Align;
  Table table{{{"ID", Align::right},
               {"NAME"},
               {"HOST"},
               {"PID", Align::right},
               {"STATE", Align::left, style_of_state, Table::Fit::whole},
               {"HEARD", Align::right},
               {"JOB", Align::right},
               {"FOR", Align::right},
               {"TASK"}},
              {}};
  for (const sql::WorkerState& worker : workers) table.rows.push_back(row_of(worker, options));
  return table;
}

Json worker_json(const sql::WorkerState& worker, const WorkersOptions& options) {
  Json json = to_json(worker.lease);
  json["state"] = state_of(worker, options);
  json["jobs"] = Json::array();
  for (const sql::DoingJob& run : worker.runs) json["jobs"].push_back(to_json(run));
  return json;
}

std::string draw(const Invocation& invocation, const WorkersOptions& options) {
  std::vector<sql::WorkerState> workers = connect_overview(invocation).workers();
  std::erase_if(workers, [&options](const auto& worker) { return !is_wanted(worker, options); });
  if (options.as_json) {
    auto list = Json::array();
    for (const sql::WorkerState& worker : workers) list.push_back(worker_json(worker, options));
    return to_text({{"workers", std::move(list)}});
  }
  if (workers.empty()) return "no such workers\n";
  return render_for_output(table_of(workers, options));
}

}  // namespace

void add_workers_command(Command& app, Invocation& invocation) {
  Command* command = app.add_subcommand(
      "workers",
      "List the workers of the database, Python's too: where they run, their last heartbeat, their jobs");
  const auto options = std::make_shared<WorkersOptions>();
  nonempty(command->add_option("--host", options->host, "Only workers on this host")->type_name("NAME"));
  nonempty(command->add_option("--group", options->group, "Only workers of groups with this name")
               ->type_name("NAME"));
  Option* busy = command->add_flag("--busy", options->busy, "Only workers that run a job");
  command->add_flag("--idle", options->idle, "Only workers that run no job")->excludes(busy);
  command->add_flag("--silent", options->silent, "Only workers without a recent heartbeat");
  add_silent_for(*command, options->silent_for);
  command->add_flag("--json", options->as_json, "Print JSON");
  add_watched_page(*command, invocation, options->watch,
                   [&invocation, options] { return draw(invocation, *options); });
}

}  // namespace postpone::cli
