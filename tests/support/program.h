// Runs a program to its end, as a shell would, and keeps what it said.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace postpone::tests {

struct ProgramRun {
  int exit_status = 0;  // 128 + the signal's number when a signal ended it
  std::string output;   // stdout
  std::string errors;   // stderr
};

struct ProgramOptions {
  // Set on top of this process's own environment; an empty value unsets the name.
  std::vector<std::pair<std::string, std::string>> environment = {};
  std::string input = {};      // stdin
  std::string directory = {};  // to run in; empty = this process's own
};

// PATH is searched for a name without a slash; a program that cannot be started ends with status 127, as in a
// shell.
ProgramRun run_program(const std::vector<std::string>& command, const ProgramOptions& options = {});

}  // namespace postpone::tests
