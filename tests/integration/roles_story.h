// The roles of sql/roles.sql, in the hands of those they are made for.
#pragma once

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/cli.h"
#include "tests/support/database.h"
#include "tests/support/eventually.h"
#include "tests/support/program.h"

namespace postpone::tests {

inline const std::string kMisbehave = POSTPONE_EXAMPLES_DIR "/misbehave";
inline const std::string kTestTasks = POSTPONE_TEST_TASKS;

// A database with the roles, and one who logs in for each.
class Roles : public testing::Test {
 protected:
  Roles() {
    const auto made = cli({"schema", "roles"}, database_.url());
    EXPECT_EQ(made.exit_status, 0) << made.errors;
    for (const std::string& role : roles())
      database_.execute("CREATE ROLE " + login(role) + " LOGIN IN ROLE postpone_" + role);
  }
  ~Roles() override {
    for (const std::string& role : roles())
      database_.execute("DROP OWNED BY " + login(role) + "; DROP ROLE " + login(role));
  }

  static const std::vector<std::string>& roles() {
    static const std::vector<std::string> all = {"worker", "client", "operator", "monitor"};
    return all;
  }
  std::string login(const std::string& role) const { return database_.name() + "_" + role; }
  // The last user= that a connection string names counts.
  std::string as(const std::string& role) const { return database_.url() + " user=" + login(role); }

  static ProgramRun cli(std::vector<std::string> arguments, const std::string& url,
                        const std::string& input = "") {
    return postpone(std::move(arguments), {.environment = {{"POSTPONE_DATABASE_URL", url}}, .input = input});
  }
  std::string sql(const std::string& statement) const { return database_.execute(statement); }
  // What the server says when this role tries; "allowed" when it lets it.
  std::string attempt(const std::string& role, const std::string& statement) const {
    try {
      execute(as(role), "BEGIN; " + statement + "; ROLLBACK");
      return "allowed";
    } catch (const std::runtime_error& error) {
      return error.what();
    }
  }
  bool all_end() const {
    return eventually([&] {
      return sql("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')") == "0";
    });
  }

  TestDatabase database_;
};

}  // namespace postpone::tests
