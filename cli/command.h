// How the commands enter the command line.
//
// A command adds its options to the parser. When the line names the command, the parser sets Invocation::run,
// and main() calls that once it knows that the whole line is right.
#pragma once

#include <functional>
#include <string>

#include "cli/exit_code.h"

namespace CLI {
class App;
}

namespace postpone::cli {

struct Invocation {
  std::string database_url;  // --database-url
  std::string config_file;   // --config
  std::function<ExitCode()> run;
};

// Each adds what its name says. The `invocation` must outlive the parser and everything that the parser runs.
void add_schema_commands(CLI::App& app, Invocation& invocation);
void add_defer_command(CLI::App& app, Invocation& invocation);
void add_jobs_commands(CLI::App& app, Invocation& invocation);
void add_queues_and_tasks_commands(CLI::App& app, Invocation& invocation);
void add_locks_command(CLI::App& app, Invocation& invocation);
void add_workers_command(CLI::App& app, Invocation& invocation);
void add_stalled_commands(CLI::App& app, Invocation& invocation);
void add_stack_command(CLI::App& app, Invocation& invocation);
void add_healthcheck_command(CLI::App& app, Invocation& invocation);
void add_config_command(CLI::App& app, Invocation& invocation);
void add_status_command(CLI::App& app, Invocation& invocation);
void add_top_command(CLI::App& app, Invocation& invocation);
void add_completion_command(CLI::App& app, Invocation& invocation);

// The whole command line of `postpone`: all commands, and the options that they share.
void define_command_line(CLI::App& app, Invocation& invocation);

}  // namespace postpone::cli
