// postpone jobs count
#include <array>
#include <map>
#include <memory>

#include "cli/connect.h"
#include "cli/jobs/commands.h"
#include "cli/jobs/job_json.h"
#include "cli/jobs/selection.h"
#include "cli/options/parser.h"
#include "cli/options/watch.h"
#include "cli/screen/output.h"
#include "cli/text/table.h"

namespace postpone::cli {
namespace {

struct CountOptions {
  sql::JobFilter filter;
  bool as_json = false;
  Watch watch;
};

std::string draw(const Invocation& invocation, const CountOptions& options) {
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
    // Old versions of Python's Procrastinate leave jobs in `aborting`, which it later turned into `aborted`.
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

void add_jobs_count(Command& jobs, Invocation& invocation) {
  Command* command = jobs.add_subcommand("count", "Count jobs by status; this reads every one of them");
  const auto options = std::make_shared<CountOptions>();
  add_filter_options(*command, options->filter);
  command->add_flag("--json", options->as_json, "Print JSON");
  add_watched_page(*command, invocation, options->watch,
                   [&invocation, options] { return draw(invocation, *options); });
}

}  // namespace postpone::cli
