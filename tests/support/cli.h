// How a test starts the program `postpone`, and how that ends.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/support/program.h"

namespace postpone::tests {

// Exit codes, as docs/cli.md promises them.
enum { kDone = 0, kNotDone = 1, kUsage = 2, kConfiguration = 3, kUnreachable = 4, kSchema = 5 };

// postpone ARGUMENT…
inline ProgramRun postpone(std::vector<std::string> arguments, const ProgramOptions& options = {}) {
  arguments.insert(arguments.begin(), POSTPONE_CLI);
  return run_program(arguments, options);
}

// The same on the database of this url; empty = the program is told of none.
inline ProgramRun postpone_on(const std::string& url, std::vector<std::string> arguments) {
  return postpone(std::move(arguments), {.environment = {{"POSTPONE_DATABASE_URL", url}}});
}

}  // namespace postpone::tests
