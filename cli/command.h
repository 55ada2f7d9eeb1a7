// What the commands have in common: how they enter the command line, and how they reach the database.
//
// A command adds its options to the parser. When the line names it, the parser sets Invocation::run, and
// main() calls that once the whole line is known to be right.
#pragma once

#include <functional>
#include <string>

#include "cli/exit_code.h"
#include "sql/job_manager.h"

namespace CLI {
class App;
}

namespace postpone::cli {

struct Invocation {
  std::string database_url;  // --database-url
  std::string config_file;   // --config
  std::function<ExitCode()> run;
};

// The database that was asked for: --database-url, else POSTPONE_DATABASE_URL, else [database].url of
// --config, else libpq's own defaults. Throws Failure (configuration) when the file is needed and wrong.
sql::ConnectOptions connect_options(const Invocation& invocation);

// Connects to it. Throws Failure (configuration) when the url is not valid, DatabaseError when the server
// cannot be reached.
sql::JobManager connect(const Invocation& invocation);

// The `invocation` must outlive the parser and all that it runs.
void add_schema_commands(CLI::App& app, Invocation& invocation);
void add_defer_command(CLI::App& app, Invocation& invocation);
void add_jobs_commands(CLI::App& app, Invocation& invocation);
void add_stalled_commands(CLI::App& app, Invocation& invocation);
void add_stack_command(CLI::App& app, Invocation& invocation);
void add_config_commands(CLI::App& app, Invocation& invocation);
void add_status_commands(CLI::App& app, Invocation& invocation);

}  // namespace postpone::cli
