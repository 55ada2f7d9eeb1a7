#include "sql/schema.h"

#include <algorithm>

#include "sql/connection.h"
#include "sql/embedded.h"
#include "sql/functions.h"
#include "sql/schema_report.h"
#include "sql/schema_scripts.h"

namespace postpone::sql {
namespace {

using State = SchemaReport::State;

// CREATE OR REPLACE TRIGGER.
constexpr int kOldestServer = 140000;

// A deadlock with clients that are at work: the server has ended our part in it, and nothing has changed.
constexpr int kAttempts = 5;

// The migrations are idempotent: on a damaged schema all of them run again, and mend it. The functions are
// put in place whenever anything is missing or differs.
bool wants(const SchemaReport& report, const Migration& migration) {
  return report.state == State::damaged ||
         std::ranges::find(report.missing, "migration " + migration.name) != report.missing.end();
}

// Two passes at most: what is missing, then, should the schema be damaged too, all of it.
std::vector<std::string> bring_up_to_date(Connection& connection, SchemaReport report) {
  std::vector<std::string> applied;
  for (int pass = 1; pass <= 2 && report.state != State::current; ++pass) {
    std::vector<Migration> wanted;
    std::ranges::copy_if(migrations(), std::back_inserter(wanted),
                         [&](const Migration& migration) { return wants(report, migration); });
    for (const Migration& migration : wanted) {
      connection.script(migration.sql);
      if (std::ranges::find(applied, migration.name) == applied.end()) applied.push_back(migration.name);
    }
    connection.script(record(wanted) + put_functions() + std::string(privileges()));
    if (pass == 1) applied.emplace_back("functions");
    report = report_on(connection);
  }
  if (report.state == State::current) return applied;
  throw DatabaseError(
      Remedy::bug, "the migrations left the schema incomplete, so nothing was changed: " + explain(report));
}

Connection connect_to_change(const ConnectOptions& options) {
  ConnectOptions patient = options;
  patient.statement_timeout = std::chrono::milliseconds::zero();
  Connection connection(patient);
  if (connection.server_version() < kOldestServer) {
    throw SchemaUnfit("Postpone needs PostgreSQL 14 or later: upgrade the server");
  }
  for (const std::string& statement : begin_to_change()) connection.query(statement);
  return connection;
}

std::vector<std::string> migrate(const ConnectOptions& options) {
  Connection connection = connect_to_change(options);
  const SchemaReport before = report_on(connection);
  if (before.state == State::newer || before.state == State::wrong_encoding)
    throw SchemaUnfit(explain(before));
  // Its functions, and what its roles may do, are the newer program's to say.
  if (before.state == State::newer_but_open) return {};
  std::vector<std::string> applied = bring_up_to_date(connection, before);
  if (applied.empty()) connection.script(std::string(privileges()));
  if (!before.roles.empty()) connection.script(std::string(roles()));
  connection.query("COMMIT");
  return applied;
}

}  // namespace

SchemaReport check_schema(const ConnectOptions& options) {
  Connection connection(options);
  connection.query("BEGIN");
  SchemaReport report = report_on(connection);
  connection.query("COMMIT");
  report.where = connection.database();
  return report;
}

std::vector<std::string> apply_schema(const ConnectOptions& options) {
  for (int attempt = 1;; ++attempt) {
    try {
      return migrate(options);
    } catch (const DatabaseError& error) {
      if (error.remedy() != Remedy::retry || attempt == kAttempts) throw;
    }
  }
}

SchemaReport apply_roles(const ConnectOptions& options) {
  Connection connection = connect_to_change(options);
  SchemaReport report = report_on(connection);
  if (report.state == State::newer_but_open) {
    throw SchemaUnfit("schema \"" + report.schema + "\" is at version " +
                      std::to_string(report.installed_version) + ", newer than this program at " +
                      std::to_string(report.current_version) +
                      ": run: postpone schema roles, of a program of that version");
  }
  if (report.state != State::current) throw SchemaUnfit(explain(report));
  connection.script(std::string(roles()));
  if (!connection.query("SELECT to_regrole('postpone_operator') IS NOT NULL").only().get<bool>(0)) {
    throw DatabaseError(
        Remedy::bug,
        "this login may not make the role postpone_operator: run `postpone schema roles` as one that "
        "has CREATEROLE");
  }
  connection.query("COMMIT");
  report.where = connection.database();
  return report;
}

}  // namespace postpone::sql
