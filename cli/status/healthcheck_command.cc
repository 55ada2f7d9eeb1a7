// postpone healthcheck: one line and an exit code, for containers and monitoring.
//
// A check answers with what is well, in a few words, or throws what main() reports of any command; the first
// that throws ends it.
#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>
#include <memory>

#include "cli/command.h"
#include "cli/status/status_client.h"
#include "cli/text/text.h"
#include "cli/text/values.h"
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
    throw CLI::ValidationError("--timeout",
                               "\"" + text + "\" is no duration from 1ms to 1h; write 500ms or 5s");
  }
  options.timeout = *timeout;
}

// It answers, lets us in, and has this program's schema; with a supervisor's configuration, the role may run
// jobs.
std::string check_database(const sql::ConnectOptions& options, bool runs_jobs) {
  try {
    const sql::SchemaReport report = sql::check_schema(options);
    const std::string problem = sql::explain(report);
    if (!problem.empty()) throw Failure(ExitCode::schema, problem);
    if (runs_jobs) {
      const std::string lacking = sql::lacking_privileges(options);
      if (!lacking.empty()) throw Failure(ExitCode::schema, lacking);
    }
    return "the database answers (PostgreSQL " + report.server_version + ", " + printable(report.where) +
           "), its schema is current (version " + std::to_string(report.installed_version) + ")";
  } catch (const sql::DatabaseError& error) {
    refuse_bad_url(error);
    throw;
  }
}

// Its loop goes round; whether it runs jobs at the moment is another question, which --ready asks.
std::string check_supervisor(const std::string& socket, const Options& options) {
  const StatusAnswer answer = ask_status(socket, "/readyz", options.timeout);
  const std::string words = answer.body.substr(0, answer.body.find('\n'));
  if (answer.status != 200 && answer.status != 503)
    throw Failure(ExitCode::unreachable, "status socket " + socket + ": answered " + answer.reason);
  if (answer.status != 200 && options.must_be_ready)
    throw Failure(ExitCode::not_done, "the supervisor is " + words);
  return "the supervisor answers (" + words + ")";
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

void add_healthcheck_command(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("healthcheck",
                                         "Tell in one line and by the exit code whether the database answers "
                                         "and has the schema, and the supervisor "
                                         "answers too");
  const auto options = std::make_shared<Options>();
  command
      ->add_option_function<std::string>(
          "--timeout", [options](const std::string& text) { set_timeout(*options, text); },
          "How long to wait for each answer, and for each of the database's hosts [5s]")
      ->type_name("DURATION");
  nonempty(
      command
          ->add_option("--socket", options->socket,
                       "The supervisor's status socket; without it that of --config, if the file has one")
          ->type_name("PATH"));
  command->add_flag("--ready", options->must_be_ready,
                    "The supervisor must be ready too: a job that is deferred now would be run");
  command->final_callback([&invocation, options] {
    invocation.run = [&invocation, options] { return healthcheck(invocation, *options); };
  });
}

}  // namespace postpone::cli
