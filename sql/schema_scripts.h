// The SQL of which `schema apply`, `schema show` and `schema roles` are made. Internal to sql/.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sql/schema.h"

namespace postpone::sql {

// A database, a role or a service file may have other defaults. Those that change how the server writes
// definitions as text, how it reads ours, or how long it has patience, count for nothing until the
// transaction ends. (search_path is a question of its own: work_there().)
inline constexpr std::string_view kSettings =
    "SELECT set_config(name, value, true) FROM (VALUES ('quote_all_identifiers', 'off'),"
    " ('standard_conforming_strings', 'on'), ('array_nulls', 'on'), ('check_function_bodies', 'on'),"
    " ('plpgsql.extra_errors', 'none'), ('lock_timeout', '0'),"
    " ('idle_in_transaction_session_timeout', '0')) AS setting (name, value)";

// The schema that unqualified names lead to: the one that holds the jobs table, or where a new table would
// go.
inline constexpr std::string_view kSchemaInPath =
    "coalesce((SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
    " WHERE pg_class.oid = to_regclass('procrastinate_jobs')), current_schema())";

// From here on that schema comes first in search_path, until the transaction ends.
std::string work_there();

// The transaction that changes a schema, whatever a transaction is by default. To wait for another one that
// changes it, or to index millions of jobs, takes what it takes: no statement has a limit. Its advisory lock
// is held until commit, and shared by all programs of a database (docs/sql.md has the key, the word
// "postpone" as eight bytes).
const std::vector<std::string>& begin_to_change();

// Notes that these migrations have been applied. Runs after the last one of them.
std::string record(const std::vector<Migration>& applied);

}  // namespace postpone::sql
