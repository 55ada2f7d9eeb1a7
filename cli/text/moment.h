// The options --at and --in: when a job is to run.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "cli/text/timestamp.h"

namespace CLI {
class App;
}

namespace postpone::cli {

// At most one of the two is set.
struct Moment {
  std::optional<Timestamp> at;
  std::optional<std::chrono::milliseconds> in;  // from now, by the database's clock
};

// Adds both options; a text that is none of a time's forms is an error of the command line. `moment` must
// outlive the parser.
void add_moment_options(CLI::App& command, Moment& moment);

}  // namespace postpone::cli
