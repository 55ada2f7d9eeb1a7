// What the commands have in common: how they enter the command line, and how they reach the database.
//
// A command adds its options to the parser. When the line names it, the parser sets Invocation::run, and
// main() calls that once the whole line is known to be right.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "cli/exit_code.h"
#include "config/config.h"
#include "sql/job_manager.h"
#include "sql/job_set.h"
#include "sql/overview.h"

namespace CLI {
class App;
}

namespace postpone::cli {

struct Invocation {
  std::string database_url;  // --database-url
  std::string config_file;   // --config
  std::function<ExitCode()> run;
};

// The database that was asked for: --database-url, else [database].url of --config, if that file has one,
// else POSTPONE_DATABASE_URL, else libpq's own defaults: what the line says goes before what surrounds it.
// Throws Failure (configuration) when the file is needed and wrong.
sql::ConnectOptions connect_options(const Invocation& invocation);

// Throws Failure (configuration) when that is what the error comes from: libpq does not understand the url.
void refuse_bad_url(const sql::DatabaseError& error);

// Connects to it. Throws Failure (configuration) when the url is not valid, DatabaseError when the server
// cannot be reached.
sql::JobManager connect(const Invocation& invocation);
// The same, for looking at all of it, and for changing many jobs.
sql::Overview connect_overview(const Invocation& invocation);
sql::JobSet connect_job_set(const Invocation& invocation);
// The same for a command that changes something: tells on a terminal which database that is.
sql::JobManager connect_to_change(const Invocation& invocation);
void tell_where(const std::string& database);

// The file that --config names; nothing without that option. Throws Failure (configuration) when it is wrong.
std::optional<config::Config> configuration(const Invocation& invocation);

// Whether there is no database to speak with, or none that lets us in.
bool is_unreachable(const sql::DatabaseError& error);

// The `invocation` must outlive the parser and all that it runs.
void add_schema_commands(CLI::App& app, Invocation& invocation);
void add_defer_command(CLI::App& app, Invocation& invocation);
void add_jobs_commands(CLI::App& app, Invocation& invocation);
void add_tally_commands(CLI::App& app, Invocation& invocation);  // queues, tasks
void add_locks_command(CLI::App& app, Invocation& invocation);
void add_workers_command(CLI::App& app, Invocation& invocation);
void add_stalled_commands(CLI::App& app, Invocation& invocation);
void add_stack_command(CLI::App& app, Invocation& invocation);
void add_healthcheck_command(CLI::App& app, Invocation& invocation);
void add_config_commands(CLI::App& app, Invocation& invocation);
void add_status_commands(CLI::App& app, Invocation& invocation);
void add_completion_command(CLI::App& app, Invocation& invocation);

// All of them, and what they have in common: the command line of `postpone`.
void define_command_line(CLI::App& app, Invocation& invocation);

}  // namespace postpone::cli
