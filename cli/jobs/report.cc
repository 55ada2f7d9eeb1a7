#include "cli/jobs/report.h"

#include <algorithm>
#include <iostream>
#include <set>

#include "cli/text/text.h"

namespace postpone::cli {
namespace {

constexpr std::size_t kMostNamed = 10;  // jobs that one sentence names

// "job 7", "jobs 7, 8 and 9", "1000 jobs (the first is 7, the last 1006)".
std::string names_of(const std::vector<sql::JobId>& ids) {
  if (ids.size() == 1) return "job " + std::to_string(ids.front());
  if (ids.size() > kMostNamed) {
    return std::to_string(ids.size()) + " jobs (the first is " + std::to_string(ids.front()) + ", the last " +
           std::to_string(ids.back()) + ")";
  }
  std::string text = "jobs ";
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i > 0) text += i + 1 < ids.size() ? ", " : " and ";
    text += std::to_string(ids[i]);
  }
  return text;
}

std::string not_tried_text(const std::vector<sql::JobId>& ids) {
  if (ids.empty()) return "";
  return "; " + names_of(ids) + (ids.size() == 1 ? " was not tried" : " were not tried");
}

// What the error leaves open about the jobs that it met.
std::string doubt_about(std::size_t jobs) {
  return jobs == 1 ? "; whether the job was changed is not known" : "; some of them may have been changed";
}

}  // namespace

void stop(Report& report, const Invocation& invocation, const sql::DatabaseError& error,
          const std::vector<sql::JobId>& ids, std::size_t begin, std::size_t end, bool nothing_was_done) {
  std::set<sql::JobId> reported;
  for (const Change& change : report.changes) reported.insert(change.id);
  const Failure failure = failure_of(invocation, error);
  const std::string reason = failure.what() + (nothing_was_done ? "" : doubt_about(end - begin));
  std::vector<sql::JobId> met;
  std::vector<sql::JobId> not_tried;
  for (std::size_t i = begin; i < ids.size(); ++i) {
    if (i < end) met.push_back(ids[i]);
    if (!reported.insert(ids[i]).second) continue;  // changed along with another one, or named twice
    const std::string name = "job " + std::to_string(ids[i]);
    if (i < end) {
      report.changes.push_back({ids[i], kDatabaseError, name + ": " + reason, true});
    } else {
      not_tried.push_back(ids[i]);
      report.changes.push_back({ids[i], kNotTried, name + " was not tried: " + failure.what(), true});
    }
  }
  report.stopped_by = Failure(failure.code(), names_of(met) + ": " + reason + not_tried_text(not_tried));
}

Report change_one_by_one(const Invocation& invocation, const std::vector<sql::JobId>& ids,
                         const ChangeJob& change) {
  Report report;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    try {
      change(ids[i], report.changes);
    } catch (const sql::DatabaseError& error) {
      if (!is_about_one_job(error)) {
        stop(report, invocation, error, ids, i, i + 1, !error.leaves_doubt());
        return report;
      }
      report.changes.push_back(
          {ids[i], kDatabaseError, "job " + std::to_string(ids[i]) + ": " + error.what()});
    }
  }
  return report;
}

void print_lines(const Report& report) {
  for (const Change& change : report.changes) {
    if (change.in_final_error) continue;
    if (change.problem.empty())
      std::cout << "job " << change.id << ' ' << change.result << '\n';
    else
      std::cerr << "postpone: " << printable(change.problem) << '\n';
  }
}

Json to_json(const std::vector<Change>& changes) {
  auto list = Json::array();
  for (const Change& change : changes)
    list.push_back({{"id", change.id}, {"result", change.result}, {"problem", or_null(change.problem)}});
  return list;
}

void print(const Report& report, bool as_json) {
  if (as_json)
    print(Json{{"jobs", to_json(report.changes)}});
  else if (report.changes.empty())
    std::cout << "no such jobs\n";
  else
    print_lines(report);
}

ExitCode end_of(const Report& report) {
  if (report.stopped_by) throw Failure(*report.stopped_by);
  const bool all_done = std::all_of(report.changes.begin(), report.changes.end(),
                                    [](const Change& change) { return change.problem.empty(); });
  return all_done ? ExitCode::done : ExitCode::not_done;
}

}  // namespace postpone::cli
