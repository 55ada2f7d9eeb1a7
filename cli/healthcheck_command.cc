// postpone healthcheck: one line and an exit code, for containers and monitoring.
//
// A check answers with what is well, in a few words, or throws what main() reports of any command; the first
// that throws ends it.
#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>
#include <memory>

#include "cli/command.h"
#include "cli/text.h"
#include "config/config.h"
#include "sql/schema.h"

namespace postpone::cli {
namespace {

struct Options {
  std::chrono::milliseconds timeout{5'000};
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

// It answers, lets us in, and has this program's schema.
std::string check_database(const sql::ConnectOptions& options) {
  try {
    const sql::SchemaReport report = sql::check_schema(options);
    const std::string problem = sql::explain(report);
    if (!problem.empty()) throw Failure(ExitCode::schema, problem);
    return "the database answers (PostgreSQL " + report.server_version +
           "), its schema is current (version " + std::to_string(report.installed_version) + ")";
  } catch (const sql::DatabaseError& error) {
    refuse_bad_url(error);
    throw;
  }
}

ExitCode healthcheck(const Invocation& invocation, const Options& options) {
  sql::ConnectOptions database = connect_options(invocation);
  database.connect_timeout = options.timeout;
  database.statement_timeout = options.timeout;
  const std::vector<Check> checks = {[&database] { return check_database(database); }};
  std::string healthy;
  for (const Check& check : checks) healthy += (healthy.empty() ? "healthy: " : "; ") + check();
  std::cout << healthy << '\n';
  return ExitCode::done;
}

}  // namespace

void add_healthcheck_command(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand(
      "healthcheck", "Tell in one line and by the exit code whether the database answers and has the schema");
  const auto options = std::make_shared<Options>();
  command
      ->add_option_function<std::string>(
          "--timeout", [options](const std::string& text) { set_timeout(*options, text); },
          "How long to wait for the database, for each of its hosts and each answer [5s]")
      ->type_name("DURATION");
  command->final_callback([&invocation, options] {
    invocation.run = [&invocation, options] { return healthcheck(invocation, *options); };
  });
}

}  // namespace postpone::cli
