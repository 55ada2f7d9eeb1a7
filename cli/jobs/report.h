// What a command that works on several jobs reports of them: a result for every job that it was given, also
// when an error ends the command halfway.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/connect.h"
#include "cli/exit_code.h"
#include "cli/jobs/job_json.h"
#include "sql/job.h"

namespace postpone::cli {

// Results that several commands have in common.
inline constexpr const char* kNotFound = "not_found";
inline constexpr const char* kDatabaseError = "database_error";
inline constexpr const char* kNotTried = "not_tried";

struct Change {
  sql::JobId id = 0;
  std::string result;           // a word of the closed sets in docs/cli.md
  std::string problem;          // why the job was not changed, for people; empty when it was
  bool in_final_error = false;  // Report::stopped_by names it, so it needs no line of its own
};

struct Report {
  std::vector<Change> changes;
  // The error that ended the command before it had tried every job, with the jobs that it concerns.
  std::optional<Failure> stopped_by;
};

// Changes a job, and adds what became of it, and of others that it has changed along with it. May throw
// DatabaseError, also after it has added some.
using ChangeJob = std::function<void(sql::JobId, std::vector<Change>&)>;
// Calls `change` for one job after the other. An error about one job costs that job only; any other error
// ends the work.
Report change_one_by_one(const Invocation& invocation, const std::vector<sql::JobId>& ids,
                         const ChangeJob& change);

// Ends the report with an error that met the jobs `begin` to `end` of `ids` together: each of them may have
// been changed, unless `nothing_was_done`, and those behind were not tried.
void stop(Report& report, const Invocation& invocation, const sql::DatabaseError& error,
          const std::vector<sql::JobId>& ids, std::size_t begin, std::size_t end, bool nothing_was_done);

// Prints a line for each change on standard output, and for each problem on standard error.
void print_lines(const Report& report);
// [{"id", "result", "problem"}, …]
Json to_json(const std::vector<Change>& changes);
// Prints the report, as lines or as {"jobs": [change, …]}.
void print(const Report& report, bool as_json);

// Ends the command: `done` when every job was dealt with, else `not_done`. Throws what has stopped it.
ExitCode end_of(const Report& report);

}  // namespace postpone::cli
