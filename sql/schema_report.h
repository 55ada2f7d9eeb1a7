// What stands in a database, compared with what this program wants there. Internal to sql/.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sql/connection.h"
#include "sql/schema.h"

namespace postpone::sql {

// REQUIRES: a transaction. Prepares it: kSettings, and the way to the schema that the report is about.
SchemaReport report_on(Connection& connection);

// "a, b and 3 more"
std::string joined(const std::vector<std::string>& texts, std::size_t most);

}  // namespace postpone::sql
