// postpone jobs list
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>

#include "cli/job_json.h"
#include "cli/jobs.h"
#include "cli/text.h"
#include "cli/timestamp.h"

namespace postpone::cli {
namespace {

struct ListOptions {
  sql::JobFilter filter;
  int limit = 50;  // 0 = none
  bool oldest_first = false;
  bool as_json = false;
};

struct Listing {
  std::vector<sql::Job> jobs;
  bool more = false;  // than the limit
};

Listing fetch(sql::JobManager& manager, const ListOptions& options) {
  sql::JobFilter filter = options.filter;
  filter.newest_first = !options.oldest_first;
  if (options.limit > 0) filter.limit = options.limit + 1;
  Listing listing{manager.list(filter)};
  if (options.limit > 0 && listing.jobs.size() > static_cast<std::size_t>(options.limit)) {
    listing.jobs.pop_back();
    listing.more = true;
  }
  return listing;
}

std::string locks_of(const sql::Job& job) {
  if (job.lock && job.queueing_lock) return *job.lock + ", queueing " + *job.queueing_lock;
  if (job.queueing_lock) return "queueing " + *job.queueing_lock;
  return job.lock.value_or("");
}

std::string status_of(const sql::Job& job) {
  const std::string label(sql::to_string(job.status));
  return job.abort_requested ? label + " (abort)" : label;
}

Table table_of(const std::vector<sql::Job>& jobs) {
  using Align = Table::Align;
  Table table{{{"ID", Align::right},
               {"STATUS", Align::left, style_of_status},
               {"TASK"},
               {"QUEUE"},
               {"PRIO", Align::right},
               {"TRIES", Align::right},
               {"LOCK"},
               {"SCHEDULED"},
               {"ARGUMENTS"}},
              {}};
  for (const sql::Job& job : jobs) {
    table.rows.push_back({std::to_string(job.id), status_of(job), printable(job.task), printable(job.queue),
                          std::to_string(job.priority), std::to_string(job.attempts),
                          printable(locks_of(job)), job.scheduled_at ? to_local(*job.scheduled_at) : "",
                          printable(job.args)});
  }
  return table;
}

ExitCode list(const Invocation& invocation, const ListOptions& options) {
  sql::JobManager manager = connect(invocation);
  const Listing listing = fetch(manager, options);
  if (options.as_json) {
    auto jobs = Json::array();
    for (const sql::Job& job : listing.jobs) jobs.push_back(to_json(job));
    print({{"jobs", std::move(jobs)}, {"more", listing.more}});
    return ExitCode::done;
  }
  if (listing.jobs.empty()) {
    std::cout << "no such jobs\n";
    return ExitCode::done;
  }
  std::cout << render_for_output(table_of(listing.jobs));
  if (listing.more) std::cout << "(more exist: --limit)\n";
  return ExitCode::done;
}

}  // namespace

void add_jobs_list(CLI::App& jobs, Invocation& invocation) {
  CLI::App* command = jobs.add_subcommand("list", "List jobs, the newest first");
  const auto options = std::make_shared<ListOptions>();
  add_filter_options(*command, options->filter);
  command->add_option("--limit", options->limit, "Most jobs to list; 0 = all")
      ->type_name("NUMBER")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  command->add_flag("--oldest-first", options->oldest_first, "The oldest first");
  command->add_flag("--json", options->as_json, "Print JSON");
  command->final_callback([&invocation, options] {
    invocation.run = [&invocation, options] { return list(invocation, *options); };
  });
}

}  // namespace postpone::cli
