// postpone defer --stdin: many jobs, one a line.
#pragma once

#include "cli/command.h"
#include "sql/job.h"

namespace postpone::cli {

struct LinesOptions {
  sql::DeferRequest defaults;  // for the keys that a line leaves out
  bool ignore_already_enqueued = false;
  bool all_or_nothing = false;
  bool print_ids = false;  // one a line, in the order of the lines; else only how many there were
};

// Reads jobs (cli/defer/ndjson.h) from standard input and creates them, a thousand lines to a transaction, or
// all in one. The first line that is wrong, or that the database refuses, ends the work: throws Failure
// (not_done), which names that line and the last line that is stored. When the connection is lost while the
// database stores some lines, Failure (unreachable) names the lines that may or may not be stored.
ExitCode defer_lines(const Invocation& invocation, const LinesOptions& options);

}  // namespace postpone::cli
