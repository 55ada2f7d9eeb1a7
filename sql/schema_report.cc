#include "sql/schema_report.h"

#include <algorithm>
#include <optional>
#include <set>

#include "sql/embedded.h"
#include "sql/functions.h"
#include "sql/schema_scripts.h"

namespace postpone::sql {
namespace {

using State = SchemaReport::State;
using Lines = std::set<std::string, std::less<>>;

constexpr std::string_view kCommand = "postpone schema apply";
constexpr std::string_view kEncoding = "UTF8";

std::string in_quotes(std::string_view text) {
  return '"' + std::string(text) + '"';
}

Lines lines_of(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (end > 0) lines.emplace(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

bool has_line_that_starts_with(const Lines& lines, std::string_view start) {
  const auto found = lines.lower_bound(start);
  return found != lines.end() && found->starts_with(start);
}

// Objects that do harm beside ours: a trigger of Procrastinate doubles every event, a foreign key of events
// or attempts makes each of them cost twice as much (sql/functions/references.sql), and an overloaded
// function makes calls with untyped parameters ambiguous.
bool disturbs(std::string_view object, const Lines& expected) {
  if (object.starts_with("trigger procrastinate_")) return true;
  for (const std::string_view table : {"procrastinate_events: ", "postpone_attempts: "}) {
    if (object.starts_with(table) && object.find(" REFERENCES procrastinate_jobs(") != std::string_view::npos)
      return true;
  }
  return object.starts_with("function ") &&
         has_line_that_starts_with(expected, object.substr(0, object.find('(') + 1));
}

// "trigger postpone_jobs_updated on procrastinate_jobs" of one that is there, but does something else.
std::string altered_trigger(const std::string& object, const Lines& actual) {
  if (!object.starts_with("trigger ")) return "";
  const std::string name = object.substr(0, object.find(':'));
  return has_line_that_starts_with(actual, name + ":") ? name : "";
}

void add_faulty_objects(SchemaReport& report, Connection& connection) {
  Lines actual;
  for (const Row row : connection.query(std::string(objects_query()), {report.schema})) {
    actual.insert(row.get<std::string>(0));
  }
  const Lines expected = lines_of(expected_objects());
  for (const std::string& object : expected) {
    if (actual.contains(object)) continue;
    if (std::string trigger = altered_trigger(object, actual); !trigger.empty()) {
      report.differing.push_back(std::move(trigger));
    } else {
      report.missing.push_back(object);
    }
  }
  for (const std::string& object : actual) {
    if (!expected.contains(object) && disturbs(object, expected))
      report.missing.push_back("no other " + object);
  }
}

std::string find_schema(Connection& connection) {
  const auto schema = connection.query("SELECT " + std::string(kSchemaInPath) + "::text")
                          .only()
                          .get<std::optional<std::string>>(0);
  if (!schema) {
    throw SchemaUnfit("search_path names no schema that exists: create the schema, or correct search_path");
  }
  if (schema->starts_with("pg_")) {
    throw SchemaUnfit("search_path leads to schema " + in_quotes(*schema) +
                      ", which is the server's own: let it name another schema first");
  }
  // Postpone's functions have the name in their bodies, which stand between such signs.
  if (schema->find("$$") != std::string::npos)
    throw SchemaUnfit("search_path leads to schema " + in_quotes(*schema) +
                      ": a name with $$ cannot be used");
  return *schema;
}

bool has_table(Connection& connection, const std::string& name) {
  return connection.query("SELECT to_regclass($1::text) IS NOT NULL", {name}).only().get<bool>(0);
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

// Fills in the versions and the migrations that are missing.
void compare_migrations(SchemaReport& report, Connection& connection) {
  std::set<int> installed;
  // By way of JSON, since the column is absent before version 7.
  for (const Row row :
       connection.query("SELECT version, coalesce((to_jsonb(migration) ->> 'oldest_program')::int,"
                        " version) FROM postpone_migrations AS migration")) {
    const int version = row.get<int>(0);
    installed.insert(version);
    if (version > report.current_version)
      report.oldest_program = std::max(report.oldest_program, row.get<int>(1));
  }
  report.installed_version = installed.empty() ? 0 : *installed.rbegin();
  for (const Migration& migration : migrations()) {
    if (!installed.contains(migration.version)) report.missing.push_back("migration " + migration.name);
  }
}

void compare_objects(SchemaReport& report, Connection& connection) {
  FunctionFaults faults = faults_of_functions(connection, report.schema);
  report.differing = std::move(faults.differing);
  report.surplus = std::move(faults.surplus);
  report.moved_from = std::move(faults.moved_from);
  const bool is_behind = !report.missing.empty();
  // Without the migrations that bring them some objects are missing anyway.
  if (!is_behind) add_faulty_objects(report, connection);
  if (is_behind || !report.differing.empty() || !report.surplus.empty()) {
    report.state = State::outdated;
  } else {
    report.state = report.missing.empty() ? State::current : State::damaged;
  }
}

std::string versions_of(const SchemaReport& report) {
  return "is at version " + std::to_string(report.installed_version) + ", this program at " +
         std::to_string(report.current_version);
}

// What `schema apply` mends in a schema that is outdated.
std::string faults_of(const SchemaReport& report) {
  std::string faults;
  if (!report.missing.empty()) faults += ", without " + joined(report.missing, 3);
  if (!report.moved_from.empty()) {
    faults += ", moved from schema " + in_quotes(report.moved_from) + ", which its functions still name";
  } else if (!report.differing.empty()) {
    faults += ", with other contents of " + joined(report.differing, 3);
  }
  if (!report.surplus.empty()) faults += ", with surplus objects: " + joined(report.surplus, 3);
  return faults;
}

}  // namespace

std::string joined(const std::vector<std::string>& texts, std::size_t most) {
  std::string list;
  for (std::size_t i = 0; i < texts.size() && i < most; ++i) list += (i == 0 ? "" : ", ") + texts[i];
  if (texts.size() > most) list += " and " + std::to_string(texts.size() - most) + " more";
  return list;
}

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
  connection.query(work_there());
  if (report.encoding != kEncoding) {
    report.state = State::wrong_encoding;
    return report;
  }
  if (!has_table(connection, "postpone_migrations")) {
    report.state = has_table(connection, "procrastinate_jobs") ? State::adoptable : State::absent;
    for (const Migration& migration : migrations()) report.missing.push_back("migration " + migration.name);
    return report;
  }
  report.roles = roles_in_use(connection);
  compare_migrations(report, connection);
  if (report.installed_version > report.current_version) {
    report.state = report.oldest_program > report.current_version ? State::newer : State::newer_but_open;
  } else {
    compare_objects(report, connection);
  }
  return report;
}

std::string explain(const SchemaReport& report) {
  const std::string schema = "schema " + in_quotes(report.schema);
  const std::string run = ": run: " + std::string(kCommand);
  switch (report.state) {
    case State::absent:
      return "Postpone is not installed in " + schema + run;
    case State::adoptable:
      return schema + " holds Procrastinate's tables, which Postpone has not adopted yet" + run;
    case State::outdated:
      return schema + ' ' + versions_of(report) + faults_of(report) + run;
    case State::newer:
      return schema + ' ' + versions_of(report) + ", and it wants " + std::to_string(report.oldest_program) +
             " or later: upgrade this program";
    case State::wrong_encoding:
      return "database " + in_quotes(report.database) + " has the encoding " + report.encoding +
             ", Postpone needs UTF8: create a database with ENCODING 'UTF8' TEMPLATE template0, and move "
             "what is in this one there";
    case State::damaged:
      return schema + " is damaged, it should have: " + joined(report.missing, 3) + run;
    case State::newer_but_open:
    case State::current:
      break;
  }
  return "";
}

}  // namespace postpone::sql
