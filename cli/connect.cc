#include "cli/connect.h"

#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "cli/configuration.h"
#include "cli/text/text.h"
#include "sql/error.h"
#include "sql/schema.h"

namespace postpone::cli {
namespace {

template <class Client>
Client connect_to(const Invocation& invocation) {
  try {
    return Client::connect(connect_options(invocation));
  } catch (const sql::DatabaseError& error) {
    refuse_bad_url(error);
    throw;
  }
}

}  // namespace

std::optional<config::Config> configuration(const Invocation& invocation) {
  const std::string& path = invocation.config_file;
  if (path.empty()) return std::nullopt;
  const config::ParseResult& result = load_configuration(path);
  if (!result.config) {
    throw Failure(ExitCode::configuration, config::to_string(result.problems.front(), path) +
                                               "; `postpone config check " + path + "` lists every problem");
  }
  return result.config;
}

sql::ConnectOptions connect_options(const Invocation& invocation) {
  sql::ConnectOptions options;
  options.application_name = "postpone";
  const char* environment = std::getenv("POSTPONE_DATABASE_URL");
  options.url = invocation.database_url;
  if (options.url.empty() && !invocation.config_file.empty())
    options.url = configuration(invocation)->database.url;
  if (options.url.empty() && environment != nullptr) options.url = environment;
  return options;
}

sql::JobManager connect(const Invocation& invocation) {
  return connect_to<sql::JobManager>(invocation);
}

sql::Overview connect_overview(const Invocation& invocation) {
  return connect_to<sql::Overview>(invocation);
}

sql::BulkChanges connect_bulk_changes(const Invocation& invocation) {
  auto jobs = connect_to<sql::BulkChanges>(invocation);
  print_database(jobs.database());
  return jobs;
}

sql::JobManager connect_to_change(const Invocation& invocation) {
  sql::JobManager jobs = connect(invocation);
  print_database(jobs.database());
  return jobs;
}

void print_database(const std::string& database) {
  if (isatty(STDERR_FILENO) == 1) std::cerr << "postpone: database " << printable(database) << '\n';
}

void refuse_bad_url(const sql::DatabaseError& error) {
  // libpq reports a url that it does not understand before it speaks to any server, so there is no SQLSTATE.
  // The remedy of a server that does not answer, which leaves no SQLSTATE either, is to reconnect.
  if (error.remedy() == sql::Remedy::bug && error.sqlstate().empty())
    throw Failure(ExitCode::configuration, error.what());
}

// SQLSTATE classes: 08 no connection, 28 not let in, 3D no such database, 57P shutting down or starting.
bool is_unreachable(const sql::DatabaseError& error) {
  const std::string& state = error.sqlstate();
  if (state == "25006") return false;  // a standby: it was reached, and only reads
  return error.remedy() == sql::Remedy::reconnect || state.starts_with("08") || state.starts_with("28") ||
         state.starts_with("3D") || state.starts_with("57P");
}

// SQLSTATE classes: 25 the transaction (read-only), 42 the statement (schema, privileges), 53 resources, 58
// the system, XX the server itself.
bool is_about_one_job(const sql::DatabaseError& error) {
  const std::string& state = error.sqlstate();
  if (state.empty() || is_unreachable(error)) return false;
  for (const char* shared : {"25", "42", "53", "58", "XX"})
    if (state.starts_with(shared)) return false;
  return true;
}

Failure failure_of(const Invocation& invocation, const sql::DatabaseError& error) {
  if (is_unreachable(error)) return {ExitCode::unreachable, error.what()};
  if (error.sqlstate().starts_with("42")) {
    const std::string explanation = sql::explain(sql::check_schema(connect_options(invocation)));
    if (!explanation.empty()) return {ExitCode::schema, explanation};
  }
  return {ExitCode::not_done, error.what()};
}

}  // namespace postpone::cli
