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
#include "cli/text.h"
#include "sql/error.h"
#include "sql/schema.h"

namespace postpone::cli {
namespace {

int fail(ExitCode code, const std::string& message) {
  // Names of jobs may stand in it, and the server's words about them.
  std::cerr << (is_coloured(STDERR_FILENO) ? styled("postpone:", Style::bad) : "postpone:") << ' '
            << printable(message) << '\n';
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
  CLI::App app;
  try {
    define_command_line(app, invocation);
    app.parse(argc, argv);
    return run_command(invocation);
  } catch (const CLI::ParseError& error) {
    return refuse(app, error);
  } catch (const std::exception& error) {
    return fail(ExitCode::not_done, error.what());
  }
}
