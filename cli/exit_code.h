// How a command ends: the exit codes of `postpone`, which docs/cli.md promises to scripts.
#pragma once

#include <stdexcept>
#include <string>

namespace postpone::cli {

enum class ExitCode {
  done = 0,
  not_done = 1,       // no such job, already enqueued, refused by the database
  usage = 2,          // the command line makes no sense
  configuration = 3,  // the configuration file or the database url is wrong
  unreachable = 4,    // the database does not answer, or does not let us in
  schema = 5,         // the database lacks Postpone's schema or privileges, or the schema is not open to us
};

// Ends the command. what() is one line for the person who typed it: what is wrong, where, what to do.
class Failure : public std::runtime_error {
 public:
  Failure(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const noexcept { return code_; }

 private:
  ExitCode code_;
};

}  // namespace postpone::cli
