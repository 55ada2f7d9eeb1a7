// postpone: what people and scripts do with jobs and their database.
//
// The parser only decides what is to be done; the command runs afterwards, so that a line that is wrong
// anywhere does nothing. Every error ends in main(), as one line on standard error and an exit code
// (cli/exit_code.h).
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "cli/colour.h"
#include "cli/command.h"
#include "sql/error.h"
#include "sql/schema.h"

namespace postpone::cli {
namespace {

constexpr const char* kFooter =
    R"(The database is that of --database-url, else of POSTPONE_DATABASE_URL, else of --config,
else what libpq finds in PG* variables, a service file and .pgpass.

Exit codes: 0 done, 1 not done (no such job, already enqueued, refused), 2 wrong usage,
3 wrong configuration, 4 database not reachable, 5 schema missing or of another version.)";

void set_up(CLI::App& app, Invocation& invocation) {
  app.name("postpone");
  app.footer("`postpone --help` tells which database is meant, and the exit codes.");  // of each subcommand
  app.set_version_flag("--version", "postpone " POSTPONE_VERSION, "Print the version");
  app.add_option("--database-url", invocation.database_url, "A libpq connection string or URI")
      ->type_name("URL");
  app.add_option("--config", invocation.config_file, "The supervisor's TOML file, which names the database")
      ->type_name("FILE");
  app.require_subcommand(1);
  app.fallthrough();
  add_schema_commands(app, invocation);
  add_defer_command(app, invocation);
  add_jobs_commands(app, invocation);
  add_tally_commands(app, invocation);
  add_locks_command(app, invocation);
  add_workers_command(app, invocation);
  add_stalled_commands(app, invocation);
  add_stack_command(app, invocation);
  add_healthcheck_command(app, invocation);
  add_config_commands(app, invocation);
  add_status_commands(app, invocation);
  app.footer(kFooter);
}

int fail(ExitCode code, const std::string& message) {
  std::cerr << (is_coloured(STDERR_FILENO) ? styled("postpone:", Style::bad) : "postpone:") << ' ' << message
            << '\n';
  return static_cast<int>(code);
}

// "postpone jobs list", as far as the line named a command that exists.
std::string command_of(const CLI::App& app) {
  std::string name = app.get_name();
  for (const CLI::App* command = &app; !command->get_subcommands().empty();) {
    command = command->get_subcommands().front();
    name += " " + command->get_name();
  }
  return name;
}

int refuse(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
  return fail(ExitCode::usage, std::string(error.what()) + "; see " + command_of(app) + " --help");
}

// A statement that the server does not understand (class 42) is most likely one for tables that are not
// there.
int report_database_error(const Invocation& invocation, const sql::DatabaseError& error) {
  if (is_unreachable(error)) return fail(ExitCode::unreachable, error.what());
  if (error.sqlstate().starts_with("42")) {
    const std::string explanation = sql::explain(sql::check_schema(connect_options(invocation)));
    if (!explanation.empty()) return fail(ExitCode::schema, explanation);
  }
  return fail(ExitCode::not_done, error.what());
}

int run_command(const Invocation& invocation) {
  try {
    const ExitCode code = invocation.run();
    std::cout.flush();
    if (!std::cout) return fail(ExitCode::not_done, "cannot write to standard output");
    return static_cast<int>(code);
  } catch (const Failure& failure) {
    return fail(failure.code(), failure.what());
  } catch (const sql::DatabaseError& error) {
    return report_database_error(invocation, error);
  }
}

}  // namespace
}  // namespace postpone::cli

int main(int argc, char** argv) {
  using namespace postpone::cli;
  Invocation invocation;
  CLI::App app("Defer jobs, look at them, and look after their database");
  try {
    set_up(app, invocation);
    app.parse(argc, argv);
    return run_command(invocation);
  } catch (const CLI::ParseError& error) {
    return refuse(app, error);
  } catch (const std::exception& error) {
    return fail(ExitCode::not_done, error.what());
  }
}
