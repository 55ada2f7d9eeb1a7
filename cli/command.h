// How the commands enter the command line.
//
// A command adds its options to the parser. When the line names the command, the parser sets Invocation::run,
// and main() calls that once it knows that the whole line is right.
#pragma once

#include <functional>
#include <string>

#include "cli/exit_code.h"

namespace postpone::cli {

class Command;

struct Invocation {
  std::string database_url;  // --database-url
  std::string config_file;   // --config
  std::function<ExitCode()> run;
};

// Each adds what its name says. The `invocation` must outlive the parser and everything that the parser runs.
void add_schema_commands(Command& app, Invocation& invocation);
void add_defer_command(Command& app, Invocation& invocation);
void add_jobs_commands(Command& app, Invocation& invocation);
void add_queues_and_tasks_commands(Command& app, Invocation& invocation);
void add_schedules_commands(Command& app, Invocation& invocation);
void add_locks_command(Command& app, Invocation& invocation);
void add_workers_command(Command& app, Invocation& invocation);
void add_stalled_commands(Command& app, Invocation& invocation);
void add_stack_command(Command& app, Invocation& invocation);
void add_healthcheck_command(Command& app, Invocation& invocation);
void add_config_command(Command& app, Invocation& invocation);
void add_status_command(Command& app, Invocation& invocation);
void add_top_command(Command& app, Invocation& invocation);
void add_completion_command(Command& app, Invocation& invocation);

// The whole command line of `postpone`: all commands, and the options that they share.
void define_command_line(Command& app, Invocation& invocation);

}  // namespace postpone::cli
