// postpone defer --stdin: many jobs, one a line.
#pragma once

#include "cli/command.h"

namespace postpone::cli {

struct LinesOptions {
  sql::DeferRequest defaults;  // for what a line does not say
  bool ignore_already_enqueued = false;
  bool all_or_nothing = false;
  bool print_ids = false;  // one a line, in the order of the lines; else how many there were
};

// Reads jobs (cli/defer/ndjson.h) from standard input and creates them, a thousand lines to a transaction, or all
// in one. A line that is wrong, or that the database refuses, ends it: throws Failure (not_done), which names
// the line and up to which line all is stored. What the database's end means for the lines that it was just
// given nobody knows: Failure (unreachable) says so.
ExitCode defer_lines(const Invocation& invocation, const LinesOptions& options);

}  // namespace postpone::cli
