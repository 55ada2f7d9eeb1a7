#include "cli/jobs/selection.h"

#include "cli/options/parser.h"
#include "cli/options/value_checks.h"

namespace postpone::cli {
namespace {

void add_statuses(const std::vector<std::string>& labels, std::vector<sql::JobStatus>& statuses) {
  for (const std::string& label : labels) {
    const std::optional<sql::JobStatus> status = sql::parse_job_status(label);
    if (!status) {
      throw UsageError("--status", "\"" + label +
                                       "\" is no status; they are todo, doing, succeeded, failed, "
                                       "cancelled, aborted");
    }
    statuses.push_back(*status);
  }
}

}  // namespace

void add_filter_options(Command& command, sql::JobFilter& filter) {
  nonempty(command.add_option("--queue", filter.queue, "Jobs of this queue")->type_name("NAME"));
  nonempty(command.add_option("--task", filter.task, "Jobs of this task")->type_name("NAME"));
  nonempty(command.add_option("--lock", filter.lock, "Jobs of this lock")->type_name("NAME"));
  nonempty(command.add_option("--queueing-lock", filter.queueing_lock, "Jobs of this queueing lock")
               ->type_name("NAME"));
  command
      .add_option_function<std::vector<std::string>>(
          "--status",
          [&filter](const std::vector<std::string>& labels) { add_statuses(labels, filter.statuses); },
          "Jobs of this status; several, separated by commas, mean any of them")
      ->type_name("STATUS:{todo,doing,succeeded,failed,cancelled,aborted}")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->take_all();
}

void add_selection(Command& command, Selection& selection) {
  job_id(command.add_option("ID", selection.ids, "Jobs by their id")->type_name(""));
  add_filter_options(command, selection.filter);
  command.parse_complete_callback([&command] {
    const bool by_id = command.count("ID") > 0;
    bool by_filter = false;
    for (const char* option : {"--queue", "--task", "--lock", "--queueing-lock", "--status"}) {
      by_filter = by_filter || command.count(option) > 0;
    }
    if (by_id == by_filter) {
      throw UsageError(by_id ? "name jobs by id or by a filter, not by both"
                             : "name the jobs: by their ids, or by a filter such as --queue");
    }
  });
}

std::optional<sql::Job> find(sql::JobManager& jobs, sql::JobId id) {
  sql::JobFilter filter;
  filter.id = id;
  std::vector<sql::Job> found = jobs.list(filter);
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

}  // namespace postpone::cli
