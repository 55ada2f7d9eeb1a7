// The options --at and --in: when a job becomes due.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "cli/text/timestamp.h"

namespace postpone::cli {

class Command;

// At most one of the two is set; with neither the job is due at once.
struct DueTime {
  std::optional<Timestamp> at;
  std::optional<std::chrono::milliseconds> in;  // from now, by the database's clock
};

// Adds both options; a text that is no time, or no duration, is an error of the command line. `due` must
// outlive the parser.
void add_due_time_options(Command& command, DueTime& due);

}  // namespace postpone::cli
