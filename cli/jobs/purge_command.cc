// postpone jobs purge
#include <iostream>
#include <memory>

#include "cli/connect.h"
#include "cli/jobs/commands.h"
#include "cli/jobs/job_json.h"
#include "cli/options/parser.h"
#include "cli/options/value_checks.h"
#include "cli/screen/progress_line.h"
#include "config/config.h"
#include "sql/purge.h"

namespace postpone::cli {
namespace {

constexpr auto kOldest = std::chrono::days(36'525);

struct Options {
  sql::PurgeOptions purge;
  bool as_json = false;
};

void set_older_than(sql::PurgeOptions& options, const std::string& text) {
  const auto duration = config::parse_duration(text);
  if (!duration || *duration > kOldest) {
    throw UsageError("--older-than", "\"" + text +
                                         "\" is no duration up to a hundred years; write 30m, 12h "
                                         "or 7d");
  }
  options.older_than = *duration;
}

void add_ended_status(sql::PurgeOptions& options, const std::string& label) {
  const auto status = sql::parse_job_status(label);
  if (status && sql::has_ended(*status)) {
    options.statuses.push_back(*status);
    return;
  }
  throw UsageError("--status", status ? "jobs in " + label +
                                            " have not ended and are never purged; `postpone jobs cancel` " +
                                            "ends them"
                                      : "\"" + label +
                                            "\" is no status; those that have ended are succeeded, failed, "
                                            "cancelled, aborted");
}

std::int64_t sum(const std::map<sql::JobStatus, std::int64_t>& counts) {
  std::int64_t all = 0;
  for (const auto& [status, count] : counts) all += count;
  return all;
}

// "12 jobs (10 succeeded, 2 failed)"
std::string describe(const std::map<sql::JobStatus, std::int64_t>& counts) {
  const std::int64_t all = sum(counts);
  std::string text = std::to_string(all) + (all == 1 ? " job" : " jobs");
  std::string parts;
  for (const auto& [status, count] : counts) {
    parts += (parts.empty() ? "" : ", ") + std::to_string(count) + " " + std::string(sql::to_string(status));
  }
  return parts.empty() ? text : text + " (" + parts + ")";
}

void print_result(const sql::Purge& purge, const Options& options) {
  if (!options.as_json) {
    std::cout << describe(purge.deleted()) << (options.purge.dry_run ? " would be deleted\n" : " deleted\n");
    return;
  }
  Json by_status = Json::object();
  for (const sql::JobStatus status : options.purge.statuses) {
    const auto found = purge.deleted().find(status);
    by_status[std::string(sql::to_string(status))] = found == purge.deleted().end() ? 0 : found->second;
  }
  print({{"jobs", sum(purge.deleted())}, {"by_status", by_status}, {"dry_run", options.purge.dry_run}});
}

sql::Purge begin(const Invocation& invocation, const Options& options) {
  try {
    return sql::Purge::begin(connect_options(invocation), options.purge);
  } catch (const sql::DatabaseError& error) {
    refuse_bad_url(error);
    throw;
  }
}

// What a purge that an error has ended says of the jobs behind those that it counts.
std::string rest_of(const Options& options, const sql::DatabaseError& error) {
  if (options.purge.dry_run) return "; the jobs behind these were not counted";
  return error.leaves_doubt() ? "; the next thousand may be deleted, those behind were not tried"
                              : "; the jobs behind these were not tried";
}

ExitCode purge(const Invocation& invocation, const Options& options) {
  sql::Purge purge = begin(invocation, options);
  if (!options.purge.dry_run) print_database(purge.database());
  std::optional<Failure> stopped_by;
  try {
    ProgressLine progress;
    while (purge.step()) progress.update(purge.done(), std::to_string(sum(purge.deleted())) + " jobs");
  } catch (const sql::DatabaseError& error) {
    const Failure failure = failure_of(invocation, error);
    stopped_by = Failure(failure.code(), std::string(failure.what()) + rest_of(options, error));
  }
  print_result(purge, options);
  if (stopped_by) throw Failure(*stopped_by);
  return ExitCode::done;
}

}  // namespace

void add_jobs_purge(Command& jobs, Invocation& invocation) {
  Command* command =
      jobs.add_subcommand("purge", "Delete jobs that ended long ago, with their events and attempts");
  const auto options = std::make_shared<Options>();
  sql::PurgeOptions& purge_options = options->purge;
  command
      ->add_option_function<std::string>(
          "--older-than", [options](const std::string& text) { set_older_than(options->purge, text); },
          "Jobs whose last event is longer ago than this: 30m, 12h, 7d")
      ->type_name("DURATION")
      ->required();
  command
      ->add_option_function<std::vector<std::string>>(
          "--status",
          [options](const std::vector<std::string>& labels) {
            for (const std::string& label : labels) add_ended_status(options->purge, label);
          },
          "Jobs that ended so; several, separated by commas, mean any of them")
      ->type_name("STATUS:{succeeded,failed,cancelled,aborted}")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->take_all()
      ->required();
  nonempty(command->add_option("--queue", purge_options.queue, "Only jobs of this queue")->type_name("NAME"));
  nonempty(command->add_option("--task", purge_options.task, "Only jobs of this task")->type_name("NAME"));
  command->add_flag("--dry-run", purge_options.dry_run, "Only count what would be deleted");
  command->add_flag("--json", options->as_json, "Print JSON");
  command->final_callback([&invocation, options] {
    invocation.run = [&invocation, options] { return purge(invocation, *options); };
  });
}

}  // namespace postpone::cli
