// The SQL that is built into the program (cmake/EmbedSql.cmake). Internal to sql/.
#pragma once

#include <string_view>

#include "sql/schema.h"

namespace postpone::sql {

// sql/objects.sql: lists what stands in the schema $1, one description a row.
std::string_view objects_query();

// sql/functions/: every function and trigger, one body each, in any order. Run after the migrations.
std::string_view functions();

// Changes whenever one of those files does. Stands in the database as the comment of postpone_migrations, so
// that a program finds out when the functions there are not its own.
std::string_view functions_digest();

// sql/privileges.sql: run after the migrations, each time.
std::string_view privileges();

// sql/roles.sql: run after those, where it was run before, and when somebody asks for it.
std::string_view roles();

// sql/objects.txt: what that gives for a complete schema, one description a line.
std::string_view expected_objects();

}  // namespace postpone::sql
