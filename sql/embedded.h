// The SQL that is built into the program (cmake/EmbedSql.cmake). Internal to sql/.
#pragma once

#include <string_view>

#include "sql/schema.h"

namespace postpone::sql {

// sql/objects.sql: lists what stands in the schema $1, one description a row.
std::string_view objects_query();

// sql/functions/: every function and trigger, one body each, in any order, with {schema} in the place of the
// schema's name. sql/functions.h reads them.
std::string_view functions();

// sql/privileges.sql: run after the migrations, each time.
std::string_view privileges();

// sql/roles.sql: `schema roles` runs it, and from then on every `schema apply`, after privileges.sql.
std::string_view roles();

// sql/objects.txt: what that gives for a complete schema, one description a line.
std::string_view expected_objects();

}  // namespace postpone::sql
