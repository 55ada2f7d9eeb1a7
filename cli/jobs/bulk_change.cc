#include "cli/jobs/bulk_change.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <set>

#include "cli/connect.h"
#include "cli/jobs/job_json.h"
#include "cli/options/parser.h"
#include "cli/screen/progress_line.h"
#include "cli/text/text.h"

namespace postpone::cli {
namespace {

constexpr std::size_t kAskAbove = 100;     // jobs that may be changed without a question
constexpr std::size_t kMostLines = 100;    // named by id, each of which has a line of its own
constexpr std::size_t kMostProblems = 20;  // that are printed in full

std::string jobs_of(std::size_t count) {
  return std::to_string(count) + (count == 1 ? " job" : " jobs");
}

// "cancelled"; for a running job "asked to stop".
std::string in_words(const std::string& result) {
  return result == "abort_requested" ? "asked to stop" : result;
}

bool is_by_id(const BulkOptions& options) {
  return !options.selection.ids.empty();
}

// A job that the line names twice is changed once.
std::vector<sql::JobId> chosen(sql::BulkChanges& jobs, const BulkOptions& options, const BulkWork& work) {
  if (is_by_id(options)) {
    std::vector<sql::JobId> ids;
    std::set<sql::JobId> seen;
    for (const sql::JobId id : options.selection.ids) {
      if (seen.insert(id).second) ids.push_back(id);
    }
    return ids;
  }
  sql::JobFilter filter = options.selection.filter;
  if (filter.statuses.empty()) filter.statuses = work.statuses;
  return jobs.find(filter);
}

// A person at a terminal may have meant fewer jobs; a script cannot answer.
void ask_before(const std::string& verb, std::size_t count, const std::string& database) {
  if (count <= kAskAbove || isatty(STDIN_FILENO) != 1 || isatty(STDERR_FILENO) != 1) return;
  std::cerr << "postpone: " << verb << ' ' << jobs_of(count) << " of database " << printable(database)
            << "? [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  if (answer != "y" && answer != "Y" && answer != "yes")
    throw Failure(ExitCode::not_done, "nothing was done; --yes does it without the question");
}

Report work_through(const Invocation& invocation, sql::BulkChanges& jobs, const std::vector<sql::JobId>& ids,
                    const BulkOptions& options, const BulkWork& work) {
  Report report;
  report.changes.reserve(ids.size());
  ProgressLine progress;
  for (std::size_t begin = 0; begin < ids.size(); begin += sql::BulkChanges::kBatch) {
    const std::size_t end = std::min(ids.size(), begin + sql::BulkChanges::kBatch);
    const auto at = [&ids](std::size_t index) { return ids.begin() + static_cast<std::ptrdiff_t>(index); };
    try {
      for (Change& change : work.batch(jobs, {at(begin), at(end)}))
        report.changes.push_back(std::move(change));
    } catch (const sql::DatabaseError& error) {
      stop(report, invocation, error, ids, begin, end, options.dry_run);
      return report;
    }
    progress.update(static_cast<double>(end) / static_cast<double>(ids.size()), jobs_of(end));
  }
  return report;
}

// How many jobs there are of each result; jobs with a problem are counted apart.
struct Totals {
  std::map<std::string, std::size_t> done;
  std::map<std::string, std::size_t> not_done;

  explicit Totals(const std::vector<Change>& changes) {
    for (const Change& change : changes) ++(change.problem.empty() ? done : not_done)[change.result];
  }
};

void print_json(const std::vector<Change>& changes, bool dry_run) {
  const Totals totals(changes);
  Json counts = Json::object();
  for (const auto* part : {&totals.done, &totals.not_done}) {
    for (const auto& [result, count] : *part) counts[result] = counts.value(result, std::size_t{0}) + count;
  }
  print(Json{{"jobs", to_json(changes)}, {"counts", std::move(counts)}, {"dry_run", dry_run}});
}

// "9998 jobs cancelled, 2 jobs asked to stop (database kitchen on host db1, port 5432)"
std::string total_line(const Totals& totals, const BulkOptions& options, const BulkWork& work,
                       const std::string& database) {
  std::string text;
  const std::string would = options.dry_run ? " would be " : " ";
  for (const auto& [result, count] : totals.done)
    text += (text.empty() ? "" : ", ") + jobs_of(count) + would + in_words(result) +
            (result == work.result ? work.addition : "");
  if (text.empty()) text = jobs_of(0) + would + work.result;
  std::size_t left = 0;
  for (const auto& [result, count] : totals.not_done) left += count;
  if (left > 0) text += ", " + std::to_string(left) + " not";
  return text + " (database " + printable(database) + ")\n";
}

void print_problems(const std::vector<Change>& changes) {
  std::size_t printed = 0;
  std::map<std::string, std::size_t> left_out;
  for (const Change& change : changes) {
    if (change.problem.empty() || change.in_final_error) continue;
    if (printed < kMostProblems) {
      ++printed;
      std::cerr << "postpone: " << printable(change.problem) << '\n';
    } else {
      ++left_out[change.result];
    }
  }
  for (const auto& [result, count] : left_out)
    std::cerr << "postpone: and " << count << " more (" << printable(result)
              << "); --json lists all of them\n";
}

void print_done(const std::vector<Change>& changes, const BulkWork& work, bool dry_run) {
  for (const Change& change : changes) {
    if (change.problem.empty())
      std::cout << "job " << change.id << (dry_run ? " would be " : " ")
                << (dry_run ? in_words(change.result) : change.result)
                << (change.result == work.result ? work.addition : "") << '\n';
  }
}

}  // namespace

void add_bulk_options(Command& command, BulkOptions& options) {
  add_selection(command, options.selection);
  command.add_flag("--dry-run", options.dry_run, "Only say what would be done");
  command.add_flag("--yes", options.yes,
                   "Do not ask on a terminal before more than a hundred jobs are changed");
  command.add_flag("--json", options.as_json, "Print JSON");
}

ExitCode change_jobs(const Invocation& invocation, const BulkOptions& options, const BulkWork& work) {
  sql::BulkChanges jobs = connect_bulk_changes(invocation);
  const std::string database = jobs.database();
  const std::vector<sql::JobId> ids = chosen(jobs, options, work);
  if (!options.dry_run && !options.yes) ask_before(work.verb, ids.size(), database);
  const Report report = work_through(invocation, jobs, ids, options, work);
  const bool as_lines = is_by_id(options) && ids.size() <= kMostLines;
  if (options.as_json) {
    print_json(report.changes, options.dry_run);
  } else {
    if (as_lines) print_done(report.changes, work, options.dry_run);
    print_problems(report.changes);
    if (ids.empty()) std::cout << "no such jobs\n";
    if (!as_lines && !ids.empty()) std::cout << total_line(Totals(report.changes), options, work, database);
  }
  return end_of(report);
}

}  // namespace postpone::cli
