// postpone queues, postpone tasks: one table, by one column or the other.
#include <algorithm>
#include <memory>

#include "cli/connect.h"
#include "cli/jobs/job_json.h"
#include "cli/options/parser.h"
#include "cli/options/value_checks.h"
#include "cli/options/watch.h"
#include "cli/screen/output.h"
#include "cli/text/colour.h"
#include "cli/text/table.h"
#include "cli/text/text.h"

namespace postpone::cli {
namespace {

using By = sql::Overview::By;

struct TallyOptions {
  By by = By::queue;
  sql::TallyFilter filter;
  bool live = false;  // count only jobs that wait or run
  bool as_json = false;
  Watch watch;
};

std::string oldest_of(const sql::Tally& tally) {
  return tally.oldest ? human_duration(tally.oldest->waiting) : "";
}

std::vector<std::string> row_of(const sql::Tally& tally, bool with_ended) {
  std::vector<std::string> row = {printable(tally.name), std::to_string(tally.todo),
                                  std::to_string(tally.scheduled), std::to_string(tally.doing)};
  if (with_ended) {
    const sql::Tally::Ended ended = tally.ended.value_or(sql::Tally::Ended{});
    for (const std::int64_t number : {ended.succeeded, ended.failed, ended.cancelled, ended.aborted})
      row.push_back(std::to_string(number));
  }
  row.push_back(oldest_of(tally));
  row.push_back(tally.oldest ? std::to_string(tally.oldest->id) : "");
  return row;
}

Table table_of(const std::vector<sql::Tally>& tallies, const TallyOptions& options) {
  constexpr auto kRight = Table::Align::right;
  Table table{
      {{options.by == By::queue ? "QUEUE" : "TASK"}, {"TODO", kRight}, {"LATER", kRight}, {"DOING", kRight}},
      {}};
  if (!options.live) {
    for (const char* title : {"SUCCEEDED", "FAILED", "CANCELLED", "ABORTED"}) {
      table.columns.push_back({title, kRight});
      if (table.columns.back().title == "FAILED") table.columns.back().style = bad_unless_zero;
    }
  }
  table.columns.push_back({"OLDEST", kRight});
  table.columns.push_back({"JOB", kRight});
  for (const sql::Tally& tally : tallies) table.rows.push_back(row_of(tally, !options.live));
  return table;
}

Json tally_json(const sql::Tally& tally, By by) {
  Json json = {{by == By::queue ? "queue" : "task", tally.name},
               {"todo", tally.todo},
               {"scheduled", tally.scheduled},
               {"doing", tally.doing}};
  const auto ended = [&tally](std::int64_t sql::Tally::Ended::*member) {
    return tally.ended ? Json((*tally.ended).*member) : Json(nullptr);
  };
  json["succeeded"] = ended(&sql::Tally::Ended::succeeded);
  json["failed"] = ended(&sql::Tally::Ended::failed);
  json["cancelled"] = ended(&sql::Tally::Ended::cancelled);
  json["aborted"] = ended(&sql::Tally::Ended::aborted);
  json["oldest_job_id"] = tally.oldest ? Json(tally.oldest->id) : Json(nullptr);
  json["oldest_waiting_s"] = tally.oldest ? or_null(std::optional(tally.oldest->waiting)) : Json(nullptr);
  return json;
}

std::string draw(const Invocation& invocation, const TallyOptions& options) {
  const std::vector<sql::Tally> tallies =
      connect_overview(invocation).tallies(options.by, options.filter, !options.live);
  if (options.as_json) {
    auto list = Json::array();
    for (const sql::Tally& tally : tallies) list.push_back(tally_json(tally, options.by));
    return to_text({{options.by == By::queue ? "queues" : "tasks", std::move(list)}});
  }
  if (tallies.empty()) return "no such jobs\n";
  return render_for_output(table_of(tallies, options));
}

void add_tally_command(Command& app, Invocation& invocation, By by) {
  Command* command =
      by == By::queue
          ? app.add_subcommand(
                "queues", "Count the jobs of each queue by status, and show the job that has waited longest")
          : app.add_subcommand(
                "tasks", "Count the jobs of each task by status, and show the job that has waited longest");
  const auto options = std::make_shared<TallyOptions>();
  options->by = by;
  nonempty(
      command->add_option("--queue", options->filter.queue, "Only jobs of this queue")->type_name("NAME"));
  nonempty(command->add_option("--task", options->filter.task, "Only jobs of this task")->type_name("NAME"));
  command->add_flag("--live", options->live,
                    "Count only jobs that wait or run: cheap, however many have ended");
  command->add_flag("--json", options->as_json, "Print JSON");
  add_watched_page(*command, invocation, options->watch,
                   [&invocation, options] { return draw(invocation, *options); });
}

}  // namespace

void add_queues_and_tasks_commands(Command& app, Invocation& invocation) {
  add_tally_command(app, invocation, By::queue);
  add_tally_command(app, invocation, By::task);
}

}  // namespace postpone::cli
