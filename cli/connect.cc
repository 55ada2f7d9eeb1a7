#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "cli/command.h"
#include "cli/text/text.h"

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
  config::ParseResult result = config::load(path);
  if (!result.config) {
    throw Failure(ExitCode::configuration, config::to_string(result.problems.front(), path) +
                                               "; `postpone config check " + path + "` lists every problem");
  }
  return std::move(result.config);
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

void refuse_bad_url(const sql::DatabaseError& error) {
  // Not what the server said, and not that there is none.
  if (error.remedy() == sql::Remedy::bug && error.sqlstate().empty())
    throw Failure(ExitCode::configuration, error.what());
}

sql::JobManager connect(const Invocation& invocation) {
  return connect_to<sql::JobManager>(invocation);
}

sql::Overview connect_overview(const Invocation& invocation) {
  return connect_to<sql::Overview>(invocation);
}

sql::JobSet connect_job_set(const Invocation& invocation) {
  auto jobs = connect_to<sql::JobSet>(invocation);
  tell_where(jobs.database());
  return jobs;
}

sql::JobManager connect_to_change(const Invocation& invocation) {
  sql::JobManager jobs = connect(invocation);
  tell_where(jobs.database());
  return jobs;
}

// Scripts know; a person may have another terminal in mind, with another environment.
void tell_where(const std::string& database) {
  if (isatty(STDERR_FILENO) == 1) std::cerr << "postpone: database " << printable(database) << '\n';
}

// The server did not speak to us (08), would not let us in (28), has no such database (3D), is going or
// coming (57P).
bool is_unreachable(const sql::DatabaseError& error) {
  const std::string& state = error.sqlstate();
  if (state == "25006") return false;  // another server may take it, but this one was reached, and only reads
  return error.remedy() == sql::Remedy::reconnect || state.starts_with("08") || state.starts_with("28") ||
         state.starts_with("3D") || state.starts_with("57P");
}

}  // namespace postpone::cli
