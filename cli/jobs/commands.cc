// postpone jobs: what its subcommands share.
#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/jobs/job_json.h"
#include "cli/jobs/jobs.h"
#include "cli/text/text.h"
#include "cli/text/values.h"

namespace postpone::cli {
namespace {

void add_statuses(const std::vector<std::string>& labels, std::vector<sql::JobStatus>& statuses) {
  for (const std::string& label : labels) {
    const std::optional<sql::JobStatus> status = sql::parse_job_status(label);
    if (!status) {
      throw CLI::ValidationError("--status", "\"" + label +
                                                 "\" is no status; they are todo, doing, succeeded, failed, "
                                                 "cancelled, aborted");
    }
    statuses.push_back(*status);
  }
}

}  // namespace

void add_jobs_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* jobs =
      app.add_subcommand("jobs", "Look at jobs, cancel them, let them run again, finish and purge them");
  jobs->require_subcommand(1);
  add_jobs_list(*jobs, invocation);
  add_jobs_count(*jobs, invocation);
  add_jobs_show(*jobs, invocation);
  add_jobs_cancel(*jobs, invocation);
  add_jobs_retry(*jobs, invocation);
  add_jobs_finish(*jobs, invocation);
  add_jobs_purge(*jobs, invocation);
}

void add_filter_options(CLI::App& command, sql::JobFilter& filter) {
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

void add_selection(CLI::App& command, Selection& selection) {
  job_id(command.add_option("ID", selection.ids, "Jobs by their id")->type_name(""));
  add_filter_options(command, selection.filter);
  command.parse_complete_callback([&command] {
    const bool by_id = command.count("ID") > 0;
    bool by_filter = false;
    for (const char* option : {"--queue", "--task", "--lock", "--queueing-lock", "--status"}) {
      by_filter = by_filter || command.count(option) > 0;
    }
    if (by_id == by_filter) {
      throw CLI::ValidationError(by_id ? "name jobs by id or by a filter, not by both"
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

ExitCode report(const std::vector<Change>& changes, bool as_json) {
  ExitCode code = ExitCode::done;
  auto list = nlohmann::ordered_json::array();
  for (const Change& change : changes) {
    if (!change.problem.empty()) code = ExitCode::not_done;
    if (as_json) {
      list.push_back({{"id", change.id}, {"result", change.result}, {"problem", or_null(change.problem)}});
    } else if (change.problem.empty()) {
      std::cout << "job " << change.id << ' ' << change.result << '\n';
    } else {
      std::cerr << "postpone: " << printable(change.problem) << '\n';
    }
  }
  if (as_json) {
    print(nlohmann::ordered_json{{"jobs", std::move(list)}});
  } else if (changes.empty()) {
    std::cout << "no such jobs\n";
  }
  return code;
}

}  // namespace postpone::cli
