// The schema in the database: what is installed, what is missing, and how it gets there.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "sql/job_manager.h"

namespace postpone::sql {

// What `postpone schema roles` makes. The last one came after the others.
inline constexpr std::array<std::string_view, 4> kRoles = {"postpone_worker", "postpone_client",
                                                           "postpone_monitor", "postpone_operator"};

// One migration, built into the program from sql/migrations/NNNN_name.sql.
struct Migration {
  int version;
  std::string name;
  int oldest_program;  // by its version: an older one cannot work on a schema with this migration
  std::string sql;
};
// What must happen once: tables, types, indexes. What may be repeated at will, functions and triggers, stands
// in sql/functions/. A release that changes a function brings a migration too, if only an empty one: by its
// version older programs know that the functions are not theirs.
const std::vector<Migration>& migrations();

struct SchemaReport {
  enum class State {
    absent,     // neither Procrastinate nor Postpone is there
    adoptable,  // Procrastinate's tables, without Postpone's
    outdated,   // Postpone's, some migrations are missing, or functions are not those of this program
    current,
    newer,           // installed by a newer Postpone, and not open to this program
    newer_but_open,  // installed by a newer Postpone, and this program may run on it
    damaged,         // says it is current, but objects are missing (listed)
    wrong_encoding,  // the database is not UTF8, and cannot hold what tasks write; nothing else was looked at
  };
  State state = State::absent;
  std::string database;
  std::string encoding;  // of the database, as the server calls it
  std::string schema;    // the PostgreSQL schema that search_path leads to
  std::string server_version;
  std::string where;                   // it was found: "kitchen on host db1, port 5432"
  int installed_version = 0;           // 0 = none
  int current_version = 0;             // of this program
  int oldest_program = 0;              // that may run on a newer schema
  std::vector<std::string> missing;    // migrations or objects, for people
  std::vector<std::string> differing;  // functions and triggers whose contents are not this program's
  std::vector<std::string> surplus;    // functions of another program's apply, which this one does not have
  std::string moved_from;          // the schema that the functions name, when it is not the one they stand in
  std::vector<std::string> roles;  // those of sql/roles.sql that may do something here
};

// The database cannot be used as it is, by this program or by any: what() says why, and what to do.
struct SchemaUnfit : DatabaseError {
  explicit SchemaUnfit(const std::string& message) : DatabaseError(Remedy::bug, message) {}
};

// What is there. Writes nothing. Throws DatabaseError; SchemaUnfit when search_path leads nowhere.
SchemaReport check_schema(const ConnectOptions& options);

// Brings the database to this program's version: one transaction, under an advisory lock, idempotent; adopts
// what Procrastinate 3.x installed. Returns the names of the migrations applied, and "functions" when those
// were put in place. A newer schema that this program may run on is left as it is. Throws DatabaseError;
// SchemaUnfit when this program may not run on it, or the database or the server is none for Postpone.
std::vector<std::string> apply_schema(const ConnectOptions& options);

// Makes the roles of kRoles, where the server lacks them, and gives them what they need in this database, no
// more and no less (sql/roles.sql). Idempotent. Returns what it found. Throws DatabaseError; SchemaUnfit when
// the schema is not current.
SchemaReport apply_roles(const ConnectOptions& options);

// The SQL of that, for psql.
std::string roles_script();

// One clear line for an operator: what is wrong, and the command to run; empty when this program may run on
// it.
std::string explain(const SchemaReport& report);

// What apply_schema() does to an absent, outdated or damaged schema, as one script that psql can run.
std::string schema_script();

}  // namespace postpone::sql
