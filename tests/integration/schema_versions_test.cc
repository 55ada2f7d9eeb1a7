// Schemas that are older or newer than the program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sql/embedded.h"
#include "sql/schema.h"
#include "tests/integration/schema_fixture.h"
#include "tests/integration/session.h"
#include "tests/support/database.h"

namespace postpone::tests {
namespace {

using sql::SchemaReport;
using State = sql::SchemaReport::State;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Schema, MissingMigrationIsAppliedWithoutTheOthers) {
  const TestDatabase database;
  Session session(database);
  session.rows("DELETE FROM postpone_migrations WHERE version = 5; DROP INDEX postpone_jobs_orphaned_idx");
  const SchemaReport report = sql::check_schema(options_for(database));
  EXPECT_EQ(report.state, State::outdated);
  EXPECT_THAT(report.missing, ElementsAre("migration 0005_stalled"));
  EXPECT_THAT(sql::apply_schema(options_for(database)), ElementsAre("0005_stalled", "functions"));
  EXPECT_EQ(sql::check_schema(options_for(database)).state, State::current);
}

// Versions 2 to 4 held functions, of which one has been renamed since.
TEST(Schema, DatabaseOfTheFirstReleaseIsBroughtUpToDate) {
  const TestDatabase database;
  Session session(database);
  session.rows(
      "DELETE FROM postpone_migrations WHERE version > 1; COMMENT ON TABLE postpone_migrations IS NULL;"
      "INSERT INTO postpone_migrations (version, name) VALUES (2, '0002_notifications'), (3, '0003_jobs'),"
      " (4, '0004_workers'), (5, '0005_stalled'); ALTER TABLE postpone_migrations DROP oldest_program;"
      "CREATE FUNCTION postpone_rescue_worker(bigint, jsonb, text, integer, text, bigint[]) RETURNS void"
      " LANGUAGE sql AS ''");
  EXPECT_EQ(sql::check_schema(options_for(database)).state, State::outdated);
  EXPECT_THAT(sql::apply_schema(options_for(database)),
              ElementsAre("0006_functions", "0007_oldest_program", "0008_bookkeeping", "0010_keys",
                          "0011_claims", "0012_waiting", "0013_authors", "0014_deferred_by", "functions"));
  EXPECT_EQ(sql::check_schema(options_for(database)).state, State::current);
}

// Two versions ahead; the second one is what counts for an older program.
void make_newer(Session& session, const std::string& oldest_program) {
  session.rows(
      "INSERT INTO postpone_migrations (version, name, oldest_program) VALUES (8999, 'harmless', 2),"
      " (9000, 'from_the_future', " +
      oldest_program +
      "); CREATE OR REPLACE FUNCTION postpone_heartbeat(worker_ids bigint[]) RETURNS bigint[] LANGUAGE sql"
      " AS 'SELECT ''{9000}''::bigint[]'; CREATE FUNCTION postpone_of_the_future() RETURNS void LANGUAGE sql "
      "AS ''");
}

TEST(Schema, NewerSchemaThatIsNotOpenToThisProgramIsLeftAlone) {
  for (const std::string oldest : {"NULL", "9000", "15"}) {
    SCOPED_TRACE(oldest);
    const TestDatabase database;
    Session session(database);
    make_newer(session, oldest);
    const SchemaReport report = sql::check_schema(options_for(database));
    EXPECT_EQ(report.state, State::newer);
    EXPECT_EQ(sql::explain(report),
              "schema \"public\" is at version 9000, this program at 14, and it wants " +
                  (oldest == "15" ? oldest : "9000") + " or later: upgrade this program");
    try {
      sql::apply_schema(options_for(database));
      ADD_FAILURE() << "it was applied";
    } catch (const sql::SchemaUnfit& refusal) {
      EXPECT_EQ(refusal.what(), sql::explain(report));
    }
    EXPECT_EQ(session.value("SELECT postpone_heartbeat('{}')"), "{9000}");
  }
}

TEST(Schema, NewerSchemaThatIsOpenToThisProgramIsUsedAndLeftAsItIs) {
  const TestDatabase database;
  Session session(database);
  make_newer(session, "7");
  const SchemaReport report = sql::check_schema(options_for(database));
  EXPECT_EQ(report.state, State::newer_but_open);
  EXPECT_EQ(sql::explain(report), "");
  EXPECT_THAT(sql::apply_schema(options_for(database)), IsEmpty());
  EXPECT_EQ(session.value("SELECT postpone_heartbeat('{}')"), "{9000}");
  try {
    sql::apply_roles(options_for(database));
    ADD_FAILURE() << "an older program does not know what the roles need";
  } catch (const sql::SchemaUnfit& refusal) {
    EXPECT_THAT(refusal.what(), HasSubstr("is at version 9000, newer than this program at 14"));
  }
  EXPECT_THROW(session.rows(sql::schema_script()), SqlError);
  session.rows("ROLLBACK");
  EXPECT_EQ(session.value("SELECT postpone_heartbeat('{}')"), "{9000}");
}

TEST(Schema, EveryMigrationIsRecordedWithItsOldestProgram) {
  const TestDatabase database;
  Session session(database);
  Values expected;
  for (const sql::Migration& migration : sql::migrations()) {
    EXPECT_LE(migration.oldest_program, migration.version);
    expected.push_back(std::to_string(migration.oldest_program));
  }
  EXPECT_EQ(session.rows("SELECT oldest_program FROM postpone_migrations ORDER BY version"), expected);
}

}  // namespace
}  // namespace postpone::tests
