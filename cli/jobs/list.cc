// postpone jobs list | count
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <map>
#include <memory>

#include "cli/jobs/job_json.h"
#include "cli/jobs/jobs.h"
#include "cli/screen/watch.h"
#include "cli/text/text.h"
#include "cli/text/timestamp.h"
#include "cli/text/values.h"

namespace postpone::cli {
namespace {

struct ListOptions {
  sql::JobFilter filter;
  int limit = 50;  // 0 = none
  bool oldest_first = false;
  bool as_json = false;
  Watch watch;
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
  using Fit = Table::Fit;
  Table table{{{"ID", Align::right},
               {"STATUS", Align::left, style_of_status, Fit::whole},
               {"TASK"},
               {"QUEUE"},
               {"PRIO", Align::right, nullptr, Fit::spare},
               {"TRIES", Align::right, nullptr, Fit::spare},
               {"LOCK", Align::left, nullptr, Fit::first},
               {"SCHEDULED", Align::left, nullptr, Fit::whole},
               {"ARGUMENTS", Align::left, nullptr, Fit::first}},
              {}};
  for (const sql::Job& job : jobs) {
    table.rows.push_back({std::to_string(job.id), status_of(job), printable(job.task), printable(job.queue),
                          std::to_string(job.priority), std::to_string(job.attempts),
                          printable(locks_of(job)), job.scheduled_at ? to_local(*job.scheduled_at) : "",
                          printable(job.args)});
  }
  return table;
}

std::string draw_list(const Invocation& invocation, const ListOptions& options) {
  sql::JobManager manager = connect(invocation);
  const Listing listing = fetch(manager, options);
  if (options.as_json) {
    auto jobs = Json::array();
    for (const sql::Job& job : listing.jobs) jobs.push_back(to_json(job));
    return to_text({{"jobs", std::move(jobs)}, {"more", listing.more}});
  }
  if (listing.jobs.empty()) return "no such jobs\n";
  return render_for_output(table_of(listing.jobs)) + note_of_more(listing.more);
}

// ---- count ---------------------------------------------------------------------------------------

struct CountOptions {
  sql::JobFilter filter;
  bool as_json = false;
  Watch watch;
};

std::string draw_count(const Invocation& invocation, const CountOptions& options) {
  const std::map<sql::JobStatus, std::int64_t> counts = connect(invocation).count(options.filter);
  constexpr std::array kStatuses = {sql::JobStatus::todo,      sql::JobStatus::doing,
                                    sql::JobStatus::succeeded, sql::JobStatus::failed,
                                    sql::JobStatus::cancelled, sql::JobStatus::aborted};
  Table table{{{"STATUS", Table::Align::left, style_of_status}, {"JOBS", Table::Align::right}}, {}};
  Json json = Json::object();
  std::int64_t all = 0;
  for (const sql::JobStatus status : kStatuses) {
    const auto found = counts.find(status);
    std::int64_t count = found == counts.end() ? 0 : found->second;
    // What Python left half-way before it knew better.
    if (const auto aborting = counts.find(sql::JobStatus::aborting);
        status == sql::JobStatus::aborted && aborting != counts.end())
      count += aborting->second;
    const std::string name(sql::to_string(status));
    table.rows.push_back({name, std::to_string(count)});
    json[name] = count;
    all += count;
  }
  table.rows.push_back({"all", std::to_string(all)});
  return options.as_json ? to_text(json) : render_for_output(table);
}

}  // namespace

void add_jobs_list(CLI::App& jobs, Invocation& invocation) {
  CLI::App* command = jobs.add_subcommand("list", "List jobs, the newest first");
  const auto options = std::make_shared<ListOptions>();
  add_filter_options(*command, options->filter);
  whole_number(command->add_option("--limit", options->limit, "Most jobs to list; 0 = all")
                   ->type_name("NUMBER")
                   ->capture_default_str(),
               0, kMostListed);
  command->add_flag("--oldest-first", options->oldest_first, "The oldest first");
  command->add_flag("--json", options->as_json, "Print JSON");
  add_watch_option(*command, options->watch);
  command->final_callback([&invocation, options] {
    invocation.run = [&invocation, options] {
      return show(options->watch, [&] { return draw_list(invocation, *options); });
    };
  });
}

void add_jobs_count(CLI::App& jobs, Invocation& invocation) {
  CLI::App* command = jobs.add_subcommand("count", "Count jobs by status; every one of them is looked at");
  const auto options = std::make_shared<CountOptions>();
  add_filter_options(*command, options->filter);
  command->add_flag("--json", options->as_json, "Print JSON");
  add_watch_option(*command, options->watch);
  command->final_callback([&invocation, options] {
    invocation.run = [&invocation, options] {
      return show(options->watch, [&] { return draw_count(invocation, *options); });
    };
  });
}

}  // namespace postpone::cli
