// postpone healthcheck: one line and an exit code, for containers and monitoring.
//
// Each check returns a few words about what is well, or throws an error as any command does. The first check
// that throws ends the command.
#include <functional>
#include <iostream>
#include <memory>

#include "cli/connect.h"
#include "cli/options/parser.h"
#include "cli/options/value_checks.h"
#include "cli/status/status_client.h"
#include "cli/text/text.h"
#include "config/config.h"
#include "sql/privileges.h"
#include "sql/schema.h"

namespace postpone::cli {
namespace {

struct Options {
  std::chrono::milliseconds timeout{5'000};
  std::string socket;
  bool must_be_ready = false;
};

using Check = std::function<std::string()>;

void set_timeout(Options& options, const std::string& text) {
  const auto timeout = config::parse_duration(text);
  if (!timeout || timeout->count() <= 0 || *timeout > std::chrono::hours(1)) {
    throw UsageError("--timeout", "\"" + text + "\" is no duration from 1ms to 1h; write 500ms or 5s");
  }
  options.timeout = *timeout;
}

// Whether the role may do anything with jobs. The catalogues, which the schema check reads, are open to every
// role, so that it says nothing about that. This reads what all roles of Postpone may read, the client too,
// and no row.
void check_reading(const sql::ConnectOptions& options) {
  sql::JobFilter none;
  none.id = 0;
  try {
    sql::JobManager::connect(options).count(none);
  } catch (const sql::DatabaseError& error) {
    if (error.sqlstate() == "42501") throw Failure(ExitCode::schema, error.what());
    throw;
  }
}

// Whether the database answers, lets us in, has this program's schema, and gives the role what it needs: to
// run jobs, with a supervisor's configuration, else to read anything at all.
std::string check_database(const sql::ConnectOptions& options, bool runs_jobs) {
  try {
    const sql::SchemaReport report = sql::check_schema(options);
    const std::string problem = sql::explain(report);
    if (!problem.empty()) throw Failure(ExitCode::schema, problem);
    const std::string lacking = runs_jobs ? sql::lacking_privileges(options) : "";
    if (!lacking.empty()) throw Failure(ExitCode::schema, lacking);
    check_reading(options);
    return "the database answers (PostgreSQL " + report.server_version + ", " + printable(report.where) +
           "), its schema is current (version " + std::to_string(report.installed_version) + ")";
  } catch (const sql::DatabaseError& error) {
    refuse_bad_url(error);
    throw;
  }
}

// Whether the supervisor answers at all, which shows that its loop runs; with --ready, whether it is ready to
// run jobs.
std::string check_supervisor(const std::string& socket, const Options& options) {
  const StatusAnswer answer = ask_status(socket, "/readyz", options.timeout);
  const std::string words = answer.body.substr(0, answer.body.find('\n'));
  if (answer.status != 200 && answer.status != 503)
    throw Failure(ExitCode::unreachable, "status socket " + socket + ": answered " + answer.reason);
  if (answer.status != 200 && options.must_be_ready)
    throw Failure(ExitCode::not_done, "the supervisor is " + words);
  return "the supervisor answers (" + printable(words) + ")";
}

ExitCode healthcheck(const Invocation& invocation, const Options& options) {
  sql::ConnectOptions database = connect_options(invocation);
  database.connect_timeout = options.timeout;
  database.statement_timeout = options.timeout;
  const auto socket = find_status_socket(options.socket, invocation.config_file);
  if (options.must_be_ready && !socket) status_socket(options.socket, invocation.config_file);
  std::vector<Check> checks = {[&] { return check_database(database, !invocation.config_file.empty()); }};
  if (socket) checks.emplace_back([&] { return check_supervisor(*socket, options); });
  std::string healthy;
  for (const Check& check : checks) healthy += (healthy.empty() ? "healthy: " : "; ") + check();
  std::cout << healthy << '\n';
  return ExitCode::done;
}

}  // namespace

void add_healthcheck_command(Command& app, Invocation& invocation) {
  Command* command = app.add_subcommand("healthcheck",
                                        "Say in one line and by the exit code whether the database answers "
                                        "and has the schema, and whether the supervisor answers");
  const auto options = std::make_shared<Options>();
  command
      ->add_option_function<std::string>(
          "--timeout", [options](const std::string& text) { set_timeout(*options, text); },
          "How long to wait for each answer, and for each host of the database [5s]")
      ->type_name("DURATION");
  nonempty(command
               ->add_option("--socket", options->socket,
                            "The supervisor's status socket; else that of --config, if the file has one")
               ->type_name("PATH"));
  command->add_flag("--ready", options->must_be_ready,
                    "The supervisor must also be ready to run a job that is deferred now");
  command->final_callback([&invocation, options] {
    invocation.run = [&invocation, options] { return healthcheck(invocation, *options); };
  });
}

}  // namespace postpone::cli
