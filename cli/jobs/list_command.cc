// postpone jobs list
#include <memory>

#include "cli/connect.h"
#include "cli/jobs/commands.h"
#include "cli/jobs/job_json.h"
#include "cli/jobs/selection.h"
#include "cli/options/parser.h"
#include "cli/options/value_checks.h"
#include "cli/options/watch.h"
#include "cli/screen/output.h"
#include "cli/text/table.h"
#include "cli/text/text.h"
#include "cli/text/timestamp.h"

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
  bool more = false;  // whether the limit has cut the list
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

std::string status_label(const sql::Job& job) {
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
    table.rows.push_back({std::to_string(job.id), status_label(job), printable(job.task),
                          printable(job.queue), std::to_string(job.priority), std::to_string(job.attempts),
                          printable(locks_of(job)), job.scheduled_at ? to_local(*job.scheduled_at) : "",
                          printable(job.args)});
  }
  return table;
}

std::string draw(const Invocation& invocation, const ListOptions& options) {
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

}  // namespace

void add_jobs_list(Command& jobs, Invocation& invocation) {
  Command* command = jobs.add_subcommand("list", "List jobs, the newest first");
  const auto options = std::make_shared<ListOptions>();
  add_filter_options(*command, options->filter);
  whole_number(command->add_option("--limit", options->limit, "Most jobs to list; 0 = all")
                   ->type_name("NUMBER")
                   ->capture_default_str(),
               0, kMostListed);
  command->add_flag("--oldest-first", options->oldest_first, "The oldest first");
  command->add_flag("--json", options->as_json, "Print JSON");
  add_watched_page(*command, invocation, options->watch,
                   [&invocation, options] { return draw(invocation, *options); });
}

}  // namespace postpone::cli
