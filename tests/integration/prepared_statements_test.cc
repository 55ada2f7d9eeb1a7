// Frequent statements, which the server keeps prepared for a connection.
#include <gtest/gtest.h>

#include <string>

#include "sql/connection.h"
#include "sql/error.h"
#include "tests/support/database.h"
#include "tests/support/database_error.h"

namespace postpone::sql {
namespace {

using tests::error_of;
using tests::Schema;
using tests::TestDatabase;

class PreparedStatement : public testing::Test {
 protected:
  const TestDatabase database{Schema::none};
  Connection connection{[this] {
    ConnectOptions options;
    options.url = database.url();
    return options;
  }()};
};

// The texts that the server keeps for this connection, but for the one with which every transaction begins.
std::int64_t kept_statements(Connection& connection) {
  return connection
      .query("select count(*) from pg_prepared_statements where statement !~ 'statement_timeout'")
      .only()
      .get<std::int64_t>(0);
}

Statement frequent(const std::string& sql, const std::string& value) {
  return {sql, {value}, true};
}

std::string only_text(Connection& connection, const Statement& statement) {
  return connection.pipeline({statement}).front().only().get<std::string>(0);
}

TEST_F(PreparedStatement, IsKeptByTheServerWhenItIsFrequent) {
  connection.query("select 1");
  const std::string echo = "select $1::text || '!'";
  for (const std::string value : {"a", "b", "c"})
    EXPECT_EQ(only_text(connection, frequent(echo, value)), value + "!");
  EXPECT_EQ(kept_statements(connection), 1);
  const auto both = connection.pipeline({frequent(echo, "x"), frequent(echo, "y")});
  EXPECT_EQ(both.at(1).only().get<std::string>(0), "y!");
}

TEST_F(PreparedStatement, IsPreparedAgainWhenAnErrorInFrontOfItKeptItFromTheServer) {
  connection.query("select 1");
  const Statement after = frequent("select $1::text || '?'", "a");
  EXPECT_THROW(connection.pipeline({{"select 1 / 0", {}}, after}), DatabaseError);
  EXPECT_EQ(kept_statements(connection), 0);
  EXPECT_EQ(only_text(connection, after), "a?");
  EXPECT_EQ(kept_statements(connection), 1);
}

TEST_F(PreparedStatement, IsGivenUpWhenTheServerHasForgottenIt) {
  connection.query("select 1");
  const Statement echo = frequent("select $1::text || '!'", "a");
  EXPECT_EQ(only_text(connection, echo), "a!");
  connection.query("deallocate all");
  EXPECT_EQ(only_text(connection, echo), "a!");
  EXPECT_EQ(kept_statements(connection), 0)
      << "something is between us and the server: nothing is kept any more";
}

TEST_F(PreparedStatement, IsGivenUpWhenItsFunctionGivesOtherColumns) {
  connection.query("select 1");
  connection.script("create function f(text) returns table (a text) language sql as 'select $1'");
  const Statement call = frequent("select * from f($1::text)", "a");
  EXPECT_EQ(only_text(connection, call), "a");
  connection.script(
      "drop function f(text);"
      "create function f(text) returns table (a text, b int) language sql as 'select $1, 2'");
  EXPECT_EQ(connection.pipeline({call}).front().row(0).get<int>(1), 2);
}

TEST_F(PreparedStatement, IsNotSentAgainWithinATransactionOfTheCaller) {
  connection.query("select 1");
  const Statement echo = frequent("select $1::text || '!'", "a");
  EXPECT_EQ(only_text(connection, echo), "a!");
  connection.query("deallocate all");
  connection.query("begin");
  EXPECT_EQ(error_of([&] { connection.pipeline({echo}); }).sqlstate(), "26000");
  connection.query("rollback");
  connection.query("begin");
  EXPECT_EQ(only_text(connection, echo), "a!") << "nothing is prepared any more";
  connection.query("rollback");
}

}  // namespace
}  // namespace postpone::sql
