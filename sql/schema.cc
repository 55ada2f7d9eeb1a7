#include "sql/schema.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "sql/connection.h"
#include "sql/embedded.h"

namespace postpone::sql {
namespace {

using State = SchemaReport::State;

// Held by whoever changes the schema, until commit: the word "postpone" as eight bytes. pg_advisory locks are
// shared by all programs of a database, so the key is documented in docs/sql.md.
constexpr std::string_view kTakeLock = "SELECT pg_advisory_xact_lock(8101821198602563173)";

// CREATE OR REPLACE TRIGGER.
constexpr int kOldestServer = 140000;

// A deadlock with clients that are at work; the server has ended our part in it, and nothing has changed.
constexpr int kAttempts = 5;

// How a report calls the functions as a whole.
constexpr std::string_view kFunctions = "the functions of this version";

constexpr std::string_view kCommand = "postpone schema apply";

constexpr std::string_view kEncoding = "UTF8";

// A database, a role or a service file may have other defaults. Those that change how the server writes
// definitions as text, how it reads ours, or how long it has patience, count for nothing until the
// transaction ends. (search_path is a question of its own: work_in().)
constexpr std::string_view kSettings =
    "SELECT set_config(name, value, true) FROM (VALUES ('quote_all_identifiers', 'off'),"
    " ('standard_conforming_strings', 'on'), ('array_nulls', 'on'), ('check_function_bodies', 'on'),"
    " ('plpgsql.extra_errors', 'none'), ('lock_timeout', '0'),"
    " ('idle_in_transaction_session_timeout', '0')) AS setting (name, value)";

std::string quoted(std::string_view text) {
  return '"' + std::string(text) + '"';
}

// What tells in the database which functions were put there.
std::string functions_comment() {
  return "functions " + std::string(functions_digest());
}

std::string joined(const std::vector<std::string>& texts, std::size_t most) {
  std::string list;
  for (std::size_t i = 0; i < texts.size() && i < most; ++i) list += (i == 0 ? "" : ", ") + texts[i];
  if (texts.size() > most) list += " and " + std::to_string(texts.size() - most) + " more";
  return list;
}

std::set<std::string, std::less<>> lines_of(std::string_view text) {
  std::set<std::string, std::less<>> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (end > 0) lines.emplace(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// Objects that do harm beside ours: a trigger of Procrastinate doubles every event, and an overloaded
// function makes calls with untyped parameters ambiguous.
bool disturbs(std::string_view object, const std::set<std::string, std::less<>>& expected) {
  if (object.starts_with("trigger procrastinate_")) return true;
  if (!object.starts_with("function ")) return false;
  const std::string_view name = object.substr(0, object.find('(') + 1);
  const auto namesake = expected.lower_bound(name);
  return namesake != expected.end() && namesake->starts_with(name);
}

std::vector<std::string> faults_in(Connection& connection, const std::string& schema) {
  std::set<std::string, std::less<>> actual;
  for (const Row row : connection.query(std::string(objects_query()), {schema})) {
    actual.insert(row.get<std::string>(0));
  }
  const std::set<std::string, std::less<>> expected = lines_of(expected_objects());
  std::vector<std::string> faults;
  for (const std::string& object : expected) {
    if (!actual.contains(object)) faults.push_back(object);
  }
  for (const std::string& object : actual) {
    if (!expected.contains(object) && disturbs(object, expected)) faults.push_back("no other " + object);
  }
  return faults;
}

std::set<int> installed_versions(Connection& connection) {
  std::set<int> versions;
  for (const Row row : connection.query("SELECT version FROM postpone_migrations")) {
    versions.insert(row.get<int>(0));
  }
  return versions;
}

std::string installed_functions(Connection& connection) {
  return connection
      .query("SELECT coalesce(obj_description(to_regclass('postpone_migrations'), 'pg_class'), '')")
      .only()
      .get<std::string>(0);
}

// Where unqualified names lead: to the schema that holds the jobs table, or where a new table would go.
std::string find_schema(Connection& connection) {
  const auto schema =
      connection
          .query(
              "SELECT coalesce((SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = "
              "relnamespace"
              " WHERE pg_class.oid = to_regclass('procrastinate_jobs')), current_schema())::text")
          .only()
          .get<std::optional<std::string>>(0);
  if (!schema) {
    throw SchemaUnfit("search_path names no schema that exists: create the schema, or correct search_path");
  }
  if (schema->starts_with("pg_")) {
    throw SchemaUnfit("search_path leads to schema " + quoted(*schema) +
                      ", which is the server's own: let it name another schema first");
  }
  return *schema;
}

bool has_table(Connection& connection, const std::string& name) {
  return connection.query("SELECT to_regclass($1::text) IS NOT NULL", {name}).only().get<bool>(0);
}

void add_missing_migrations(SchemaReport& report, const std::set<int>& installed) {
  for (const Migration& migration : migrations()) {
    if (!installed.contains(migration.version)) report.missing.push_back("migration " + migration.name);
  }
}

// The schema that was found first in search_path, be it there already or not.
void work_in(Connection& connection, const std::string& schema) {
  connection.query(
      "SELECT set_config('search_path', concat_ws(', ', quote_ident($1), nullif(current_setting("
      "'search_path'), '')), true)",
      {schema});
}

// Those of our roles that may do something here. They belong to the server, and may have been made for
// another database.
std::vector<std::string> roles_in_use(Connection& connection) {
  std::vector<std::string> in_use;
  for (const Row row : connection.query(
           "SELECT DISTINCT rolname FROM pg_class CROSS JOIN aclexplode(relacl) AS acl"
           " JOIN pg_roles ON pg_roles.oid = acl.grantee"
           " WHERE pg_class.oid = to_regclass('postpone_migrations')"
           " UNION SELECT DISTINCT rolname FROM pg_attribute CROSS JOIN aclexplode(attacl) AS acl"
           " JOIN pg_roles ON pg_roles.oid = acl.grantee"
           " WHERE attrelid = to_regclass('procrastinate_jobs') ORDER BY 1")) {
    const auto role = row.get<std::string>(0);
    if (std::ranges::find(kRoles, role) != kRoles.end()) in_use.push_back(role);
  }
  return in_use;
}

// In a transaction, which it prepares: kSettings, and the way to the schema that it tells of.
SchemaReport report_on(Connection& connection) {
  connection.query(std::string(kSettings));
  const Result server = connection.query(
      "SELECT current_setting('server_version'), current_database(), current_setting('server_encoding')");
  SchemaReport report;
  report.server_version = server.only().get<std::string>(0);
  report.database = server.only().get<std::string>(1);
  report.encoding = server.only().get<std::string>(2);
  report.current_version = migrations().back().version;
  report.schema = find_schema(connection);
  work_in(connection, report.schema);
  if (report.encoding != kEncoding) {
    report.state = State::wrong_encoding;
    return report;
  }
  if (!has_table(connection, "postpone_migrations")) {
    report.state = has_table(connection, "procrastinate_jobs") ? State::adoptable : State::absent;
    add_missing_migrations(report, {});
    return report;
  }
  report.roles = roles_in_use(connection);
  const std::set<int> installed = installed_versions(connection);
  report.installed_version = installed.empty() ? 0 : *installed.rbegin();
  add_missing_migrations(report, installed);
  if (installed_functions(connection) != functions_comment()) report.missing.emplace_back(kFunctions);
  if (report.installed_version > report.current_version) {
    report.state = State::newer;
  } else if (!report.missing.empty()) {
    report.state = State::outdated;
  } else {
    report.missing = faults_in(connection, report.schema);
    report.state = report.missing.empty() ? State::current : State::damaged;
  }
  return report;
}

std::string put_functions() {
  return std::string(functions()) + "COMMENT ON TABLE postpone_migrations IS '" + functions_comment() +
         "';\n";
}

// How the scripts for psql begin.
std::string begin_script() {
  return "BEGIN;\n" + std::string(kSettings) + ";\n" + std::string(kTakeLock) + ";\n";
}

std::string record(const Migration& migration) {
  return "INSERT INTO postpone_migrations (version, name) VALUES (" + std::to_string(migration.version) +
         ", '" + migration.name + "') ON CONFLICT DO NOTHING;\n";
}

// The migrations are idempotent: on a damaged schema all of them run again, and mend it. The functions are
// put in place whenever anything is missing.
bool wants(const SchemaReport& report, const Migration& migration) {
  return report.state == State::damaged ||
         std::ranges::find(report.missing, "migration " + migration.name) != report.missing.end();
}

// Two passes at most: what is missing, then, should the schema be damaged too, all of it.
std::vector<std::string> bring_up_to_date(Connection& connection, SchemaReport report) {
  std::vector<std::string> applied;
  for (int pass = 1; pass <= 2 && report.state != State::current; ++pass) {
    for (const Migration& migration : migrations()) {
      if (!wants(report, migration)) continue;
      connection.script(migration.sql + record(migration));
      if (std::ranges::find(applied, migration.name) == applied.end()) applied.push_back(migration.name);
    }
    connection.script(put_functions());
    if (pass == 1) applied.emplace_back("functions");
    report = report_on(connection);
  }
  if (report.state == State::current) return applied;
  throw DatabaseError(Remedy::bug, "the migrations left schema " + quoted(report.schema) +
                                       " incomplete, so nothing was changed: " + joined(report.missing, 10));
}

// Whatever a transaction is by default. To wait for another one that changes the schema, or to index millions
// of jobs, takes what it takes, so the connection has no limit for a statement.
Connection begin_to_change(const ConnectOptions& options) {
  ConnectOptions patient = options;
  patient.statement_timeout = std::chrono::milliseconds::zero();
  Connection connection(patient);
  if (connection.server_version() < kOldestServer) {
    throw SchemaUnfit("Postpone needs PostgreSQL 14 or later: upgrade the server");
  }
  connection.query("BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE, NOT DEFERRABLE");
  connection.query(
      "SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true)");
  connection.query(std::string(kTakeLock));
  return connection;
}

std::vector<std::string> migrate(const ConnectOptions& options) {
  Connection connection = begin_to_change(options);
  const SchemaReport before = report_on(connection);
  if (before.state == State::newer || before.state == State::wrong_encoding)
    throw SchemaUnfit(explain(before));
  std::vector<std::string> applied = bring_up_to_date(connection, before);
  connection.script(std::string(privileges()));
  // In a database where somebody has asked for them.
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

void apply_roles(const ConnectOptions& options) {
  Connection connection = begin_to_change(options);
  const SchemaReport report = report_on(connection);
  if (report.state != State::current) throw SchemaUnfit(explain(report));
  connection.script(std::string(roles()));
  if (!connection.query("SELECT to_regrole('postpone_operator') IS NOT NULL").only().get<bool>(0)) {
    throw DatabaseError(
        Remedy::bug,
        "this login may not make the role postpone_operator: run `postpone schema roles` as one that "
        "has CREATEROLE");
  }
  connection.query("COMMIT");
}

std::string roles_script() {
  return begin_script() + '\n' + std::string(roles()) + "\nCOMMIT;\n";
}

std::string explain(const SchemaReport& report) {
  const std::string schema = "schema " + quoted(report.schema);
  const std::string versions = "is at version " + std::to_string(report.installed_version) +
                               ", this program at " + std::to_string(report.current_version);
  const std::string run = ": run: " + std::string(kCommand);
  switch (report.state) {
    case State::absent:
      return "Postpone is not installed in " + schema + run;
    case State::adoptable:
      return schema + " holds Procrastinate's tables, which Postpone has not adopted yet" + run;
    case State::outdated:
      return schema + ' ' + versions + ", without " + joined(report.missing, 3) + run;
    case State::newer:
      return schema + ' ' + versions + ": upgrade this program";
    case State::wrong_encoding:
      return "database " + quoted(report.database) + " has the encoding " + report.encoding +
             ", Postpone needs UTF8: create a database with ENCODING 'UTF8' TEMPLATE template0, and move "
             "what "
             "is in this one there";
    case State::damaged:
      return schema + " is damaged, it should have: " + joined(report.missing, 3) + run;
    case State::current:
      break;
  }
  return "";
}

std::string schema_script() {
  std::string script = begin_script();
  for (const Migration& migration : migrations()) {
    script += "\n-- " + migration.name + "\n" + migration.sql + record(migration);
  }
  script += "\n-- functions\n" + put_functions();
  return script + '\n' + std::string(privileges()) + "\nCOMMIT;\n";
}

}  // namespace postpone::sql
