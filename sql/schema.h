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
    outdated,   // Postpone's, some migrations are missing, or the functions are of another build
    current,
    newer,           // installed by a newer Postpone than this program
    damaged,         // says it is current, but objects are missing (listed)
    wrong_encoding,  // the database is not UTF8, and cannot hold what tasks write; nothing else was looked at
  };
  State state = State::absent;
  std::string database;
  std::string encoding;  // of the database, as the server calls it
  std::string schema;    // the PostgreSQL schema that search_path leads to
  std::string server_version;
  std::string where;                 // it was found: "kitchen on host db1, port 5432"
  int installed_version = 0;         // 0 = none
  int current_version = 0;           // of this program
  std::vector<std::string> missing;  // objects or migrations, for people
  std::vector<std::string> roles;    // those of sql/roles.sql that may do something here
};

// The database cannot be used as it is, by this program or by any: what() says why, and what to do.
struct SchemaUnfit : DatabaseError {
  explicit SchemaUnfit(const std::string& message) : DatabaseError(Remedy::bug, message) {}
};

// What is there. Writes nothing. Throws DatabaseError; SchemaUnfit when search_path leads nowhere.
SchemaReport check_schema(const ConnectOptions& options);

// Brings the database to this program's version: one transaction, under an advisory lock, idempotent; adopts
// what Procrastinate 3.x installed. Returns the names of the migrations applied, and "functions" when those
// were put in place. Throws DatabaseError; SchemaUnfit when the schema is newer than this program, or the
// database or the server is none for Postpone.
std::vector<std::string> apply_schema(const ConnectOptions& options);

// Makes the roles of kRoles, where the server lacks them, and gives them what they need in this database, no
// more and no less (sql/roles.sql). Idempotent. Throws DatabaseError; SchemaUnfit when the schema is not
// current.
void apply_roles(const ConnectOptions& options);

// The SQL of that, for psql.
std::string roles_script();

// One clear line for an operator: what is wrong, and the command to run; empty when the schema is current.
std::string explain(const SchemaReport& report);

// Every migration's SQL, in order, as one script that psql can run.
std::string schema_script();

}  // namespace postpone::sql
