// The functions that this program puts into a schema (sql/functions/), and how those that stand there differ
// from them. Internal to sql/.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sql/connection.h"

namespace postpone::sql {

struct FunctionFaults {
  std::vector<std::string> differing;  // "function postpone_heartbeat"
  std::vector<std::string> surplus;    // what an apply once put there, and this program does not have
  // The schema that the installed functions name, when it is another one: theirs was renamed.
  std::string moved_from;
};

// Compares what the server runs (bodies, languages, settings), and no text that it has formatted. A function
// that is missing altogether is no fault here: sql/objects.txt has it. REQUIRES: a transaction, postpone_
// migrations in this schema.
FunctionFaults faults_of_functions(Connection& connection, const std::string& schema);

// The SQL that drops surplus objects, puts all functions and triggers in place and keeps a record of their
// names. They get the name of the schema that current_schema() gives when it runs.
std::string put_functions();

}  // namespace postpone::sql
