// How the tests of `postpone schema` reach their database.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "sql/connection.h"
#include "sql/schema.h"
#include "tests/support/database.h"

namespace postpone::tests {

inline sql::ConnectOptions options_for(const TestDatabase& database, const std::string& search_path = "") {
  sql::ConnectOptions options;
  options.url = database.url();
  if (!search_path.empty()) options.url += " options='-csearch_path=" + search_path + "'";
  return options;
}

}  // namespace postpone::tests
