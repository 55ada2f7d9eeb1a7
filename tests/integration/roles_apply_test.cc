// How roles get their rights: the script, `schema apply`, and installations that are older than a role.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/roles_story.h"
#include "tests/support/database.h"

namespace postpone::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Who applies a schema need not be one who makes roles.
TEST_F(Roles, AnOlderInstallationLearnsOfTheOperatorFromWhoeverMayMakeRoles) {
  EXPECT_THAT(cli({"schema", "check"}, database_.url()).output,
              HasSubstr("postpone_client, postpone_monitor, postpone_operator, postpone_worker\n"));
  const std::string owner = login("owner");
  sql("CREATE ROLE " + owner + " LOGIN; GRANT CREATE, USAGE ON SCHEMA public TO " + owner +
      ";"
      "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM postpone_operator");
  sql("DO $$ DECLARE name text; BEGIN FOR name IN SELECT oid::regclass FROM pg_class WHERE relnamespace = "
      "'public'::regnamespace AND relkind IN ('r', 'v') LOOP EXECUTE format('ALTER TABLE %s OWNER TO " +
      owner +
      "', name); END LOOP; "
      "FOR name IN SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'public'::regnamespace LOOP "
      "EXECUTE "
      "format('ALTER FUNCTION %s OWNER TO " +
      owner +
      "', name); END LOOP; FOR name IN SELECT oid::regtype FROM pg_type WHERE "
      "typnamespace = 'public'::regnamespace AND typtype = 'e' LOOP EXECUTE format('ALTER TYPE %s OWNER TO " +
      owner + "', name); END LOOP; END $$");
  EXPECT_THAT(cli({"schema", "check"}, database_.url()).output,
              HasSubstr("run postpone schema roles for the others"));
  const auto applied = cli({"schema", "apply"}, database_.url() + " user=" + owner);
  EXPECT_EQ(applied.exit_status, 0) << applied.errors;
  EXPECT_EQ(attempt("operator", "SELECT * FROM procrastinate_jobs"), "allowed");
  sql("REASSIGN OWNED BY " + owner + " TO CURRENT_USER; DROP OWNED BY " + owner + "; DROP ROLE " + owner);
}

// The script for those who apply it by hand.
TEST_F(Roles, TheScriptOfTheSchemaWidensNobodysRights) {
  const auto script = cli({"schema", "show"}, database_.url());
  ASSERT_EQ(script.exit_status, 0);
  sql(script.output);
  EXPECT_THAT(attempt("worker", "DELETE FROM postpone_attempts"), HasSubstr("permission denied"));
  EXPECT_THAT(attempt("worker", "UPDATE postpone_workers SET host = ''"), HasSubstr("permission denied"));
}

TEST_F(Roles, ApplyGrantsWhatAMigrationHasAddedAndTakesBackWhatIsTooMuch) {
  sql("CREATE TABLE postpone_later (id bigint); GRANT DELETE ON procrastinate_events TO postpone_worker; "
      "GRANT UPDATE (args) ON procrastinate_jobs TO postpone_client");
  EXPECT_EQ(attempt("client", "UPDATE procrastinate_jobs SET args = '{}'"), "allowed");
  for (int twice = 0; twice < 2; ++twice) {
    const auto applied = cli({"schema", "apply"}, database_.url());
    EXPECT_EQ(applied.exit_status, 0) << applied.errors;
    EXPECT_EQ(attempt("monitor", "SELECT * FROM postpone_later"), "allowed");
    EXPECT_THAT(attempt("worker", "DELETE FROM procrastinate_events"), HasSubstr("permission denied"));
    EXPECT_THAT(attempt("worker", "DELETE FROM postpone_attempts"), HasSubstr("permission denied"));
    EXPECT_THAT(attempt("client", "UPDATE procrastinate_jobs SET args = '{}'"),
                HasSubstr("permission denied"));
  }
}

// The roles are there for another database of the server, and nobody has asked for them here.
TEST_F(Roles, ApplyGrantsNothingWhereNobodyHasAskedForRoles) {
  const TestDatabase other;
  EXPECT_EQ(cli({"schema", "apply"}, other.url()).exit_status, 0);
  EXPECT_EQ(other.execute("SELECT has_table_privilege('postpone_monitor', 'procrastinate_jobs', 'SELECT')"),
            "f");
}

TEST_F(Roles, AnotherSchemaThanPublicWillDo) {
  const TestDatabase database(Schema::none);
  database.execute("CREATE SCHEMA jobs");
  const std::string url = database.url() + " options=-csearch_path=jobs";
  EXPECT_EQ(cli({"schema", "apply"}, url).exit_status, 0);
  EXPECT_EQ(cli({"schema", "roles"}, url).exit_status, 0);
  EXPECT_EQ(cli({"defer", "t"}, url + " user=" + login("client")).exit_status, 0);
  EXPECT_EQ(cli({"jobs", "list"}, url + " user=" + login("monitor")).exit_status, 0);
}

TEST_F(Roles, AreRefusedWhereThereIsNoSchemaAndPrintedForThoseWhoWantToRead) {
  const TestDatabase empty(Schema::none);
  const auto refused = cli({"schema", "roles"}, empty.url());
  EXPECT_EQ(refused.exit_status, 5);
  EXPECT_THAT(refused.errors, HasSubstr("postpone schema apply"));
  EXPECT_THAT(cli({"schema", "roles", "--show"}, "host=/nonexistent").output,
              AllOf(HasSubstr("BEGIN ISOLATION LEVEL"), HasSubstr("postpone_client"), HasSubstr("COMMIT;")));
}

}  // namespace
}  // namespace postpone::tests
