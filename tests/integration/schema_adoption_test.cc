// `postpone schema apply` on a database of Procrastinate.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <future>
#include <sstream>

#include "sql/embedded.h"
#include "sql/error.h"
#include "sql/schema.h"
#include "tests/integration/schema_fixture.h"
#include "tests/integration/session.h"
#include "tests/support/database.h"
#include "tests/support/eventually.h"

namespace postpone::tests {
namespace {

using sql::SchemaReport;
using State = sql::SchemaReport::State;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string procrastinate() {
  std::ifstream file(POSTPONE_SOURCE_DIR "/tests/support/procrastinate_39.sql");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

class Adoption : public ::testing::Test {
 protected:
  Adoption() : session(database) { session.rows(procrastinate()); }
  const TestDatabase database{Schema::none};
  Session session;
};

TEST_F(Adoption, IsOfferedThenDone) {
  const SchemaReport report = sql::check_schema(options_for(database));
  EXPECT_EQ(report.state, State::adoptable);
  EXPECT_EQ(sql::explain(report),
            "schema \"public\" holds Procrastinate's tables, which Postpone has not adopted yet: run: "
            "postpone schema "
            "apply");
  EXPECT_THAT(sql::apply_schema(options_for(database)), SizeIs(sql::migrations().size() + 1));
  EXPECT_EQ(sql::check_schema(options_for(database)).state, State::current);
}

TEST_F(Adoption, KeepsEveryRow) {
  // But for the columns that are ours.
  const std::string all =
      "SELECT (to_jsonb(j) - ARRAY['meta', 'parked', 'uncounted_attempts', 'attempts_allowed', "
      "'deferred_by'])::text FROM "
      "procrastinate_jobs j UNION ALL SELECT e::text FROM procrastinate_events e UNION ALL"
      " SELECT p::text FROM procrastinate_periodic_defers p UNION ALL SELECT w::text FROM "
      "procrastinate_workers w ORDER BY 1";
  const Values before = session.rows(all);
  sql::apply_schema(options_for(database));
  EXPECT_EQ(session.rows(all), before);
}

TEST_F(Adoption, WorkGoesOnWhereItWas) {
  sql::apply_schema(options_for(database));
  EXPECT_EQ(session.value("SELECT id FROM procrastinate_fetch_job_v2(NULL, 1)"), "8");  // priority 5
  EXPECT_EQ(session.value("SELECT id FROM procrastinate_fetch_job_v2(NULL, 1)"), "∅");  // 6 waits for `disk`
  EXPECT_EQ(session.value("SELECT procrastinate_finish_job_v1(5, 'aborted', false)"), "");
  EXPECT_EQ(session.value("SELECT id FROM procrastinate_fetch_job_v2(NULL, 1)"), "6");
  EXPECT_EQ(session.value("SELECT status FROM postpone_retry_job(2)"), "todo");
  EXPECT_EQ(
      session.value("SELECT procrastinate_defer_periodic_job_v2('default', NULL, NULL, 'app.sweep', 0, '',"
                    " 1700000000, '{}')"),
      "∅");
}

TEST_F(Adoption, ReplacesTheTriggersSoThatNoEventIsWrittenTwice) {
  sql::apply_schema(options_for(database));
  const std::string id = session.value("SELECT postpone_defer('app.mail')");
  EXPECT_EQ(session.rows("SELECT type FROM procrastinate_events WHERE job_id = " + id), (Values{"deferred"}));
  session.rows("DELETE FROM procrastinate_jobs WHERE id = 9");
  EXPECT_EQ(session.value("SELECT job_id FROM procrastinate_periodic_defers"), "∅");
}

TEST_F(Adoption, LeavesOlderFunctionsToWhoeverCallsThem) {
  sql::apply_schema(options_for(database));
  EXPECT_EQ(session.value("SELECT id FROM procrastinate_fetch_job_v1(NULL)"), "∅");
}

TEST_F(Adoption, EndsALeaseWithoutReadingAllJobs) {
  sql::apply_schema(options_for(database));
  session.rows("SET enable_seqscan = off");
  EXPECT_THAT(session.rows("EXPLAIN UPDATE procrastinate_jobs SET worker_id = NULL WHERE worker_id = 1"),
              Contains(HasSubstr("idx_procrastinate_jobs_worker_not_null")));
}

TEST_F(Adoption, LetsItsRolesWorkAsBefore) {
  const std::string role = database.name() + "_app";
  session.rows("CREATE ROLE " + role +
               "; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO " + role +
               "; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO " + role);
  sql::apply_schema(options_for(database));
  session.rows("SET ROLE " + role);
  EXPECT_EQ(session.value("SELECT postpone_defer('app.mail', queueing_lock => 'once')"), "11");
  EXPECT_EQ(session.value("SELECT postpone_register_worker('s', 'h', 'w', 1)"), "3");
  for (int job = 1; job <= 2; ++job) session.rows("SELECT FROM postpone_fetch_jobs('{default}', 3, 1)");
  EXPECT_EQ(session.value("SELECT postpone_defer('app.mail', queueing_lock => 'once')"), "12");
  session.rows("SELECT procrastinate_retry_job_v2(11, now(), NULL, NULL, NULL)");
  EXPECT_EQ(session.value("SELECT cause FROM postpone_attempts WHERE job_id = 11"), "superseded");
  EXPECT_EQ(session.value("SELECT count(*) FROM postpone_migrations"),
            std::to_string(sql::migrations().size()));
  session.rows("RESET ROLE; DROP OWNED BY " + role + "; DROP ROLE " + role);
}

// As when a superuser adopts what belongs to an application: its owner goes on alone, its roles with it.
TEST_F(Adoption, BySomebodyElseLeavesTheOwnerInCharge) {
  const std::string owner = database.name() + "_owner";
  const std::string app = database.name() + "_app";
  session.rows("CREATE ROLE " + owner + "; CREATE ROLE " + app +
               "; ALTER TABLE procrastinate_jobs OWNER TO " + owner +
               "; ALTER TABLE procrastinate_events OWNER TO " + owner +
               "; ALTER TABLE procrastinate_workers OWNER TO " + owner +
               "; ALTER TABLE procrastinate_periodic_defers OWNER TO " + owner);
  sql::apply_schema(options_for(database));
  EXPECT_THAT(session.rows("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"),
              ElementsAre(owner));
  EXPECT_EQ(session.value("SELECT proowner::regrole FROM pg_proc WHERE proname = 'postpone_fetch_jobs'"),
            owner);
  EXPECT_EQ(session.value("SELECT typowner::regrole FROM pg_type WHERE typname = 'postpone_cause'"), owner);

  // A role that comes later: the next apply finds it, though it has nothing else to do.
  session.rows(
      "GRANT SELECT, INSERT, UPDATE, DELETE ON procrastinate_jobs, procrastinate_events, "
      "procrastinate_workers TO " +
      app + "; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO " + app);
  EXPECT_THAT(sql::apply_schema(options_for(database)), IsEmpty());
  for (const std::string& role : {owner, app}) {
    SCOPED_TRACE(role);
    session.rows("SET ROLE " + role);
    const std::string worker = session.value("SELECT postpone_register_worker('s', 'h', 'w', 1)");
    const std::string id = session.value("SELECT postpone_defer('app.mail', priority => 99)");
    EXPECT_EQ(session.value("SELECT id FROM postpone_fetch_jobs(NULL, " + worker + ", 1)"), id);
    EXPECT_EQ(session.value("SELECT status FROM postpone_finish_jobs(" + worker + ", '[{\"job_id\": " + id +
                            ", \"attempt\": 1, \"action\": \"succeed\"}]')"),
              "succeeded");
    session.rows("RESET ROLE");
  }
  session.rows("DROP OWNED BY " + owner + ", " + app + "; DROP ROLE " + owner + ", " + app);
}

// The client holds the jobs table and then wants the periodic one, which apply has locked by then. The server
// ends one of the two: mostly apply, since it has waited first, and then it tries again.
TEST_F(Adoption, SurvivesADeadlockWithAClientAtWork) {
  session.rows(
      "SET deadlock_timeout = '20s'; BEGIN;"
      "UPDATE procrastinate_jobs SET task_name = 'app.letter' WHERE id = 8");
  auto applied =
      std::async(std::launch::async, [&] { return sql::apply_schema(options_for(database)).size(); });
  Session observer(database);
  const std::string waiting =
      "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database "
      "WHERE datname = current_database())";
  EXPECT_TRUE(eventually([&] { return observer.value(waiting) != "0"; }));
  try {
    session.rows("SELECT FROM procrastinate_periodic_defers; COMMIT");
  } catch (const SqlError& error) {
    EXPECT_EQ(error.sqlstate, "40P01");
    session.rows("ROLLBACK");
  }
  EXPECT_EQ(applied.get(), sql::migrations().size() + 1);
  EXPECT_EQ(sql::check_schema(options_for(database)).state, State::current);
}

TEST_F(Adoption, OlderThanItsWorkersTableIsRefused) {
  session.rows("ALTER TABLE procrastinate_jobs DROP COLUMN worker_id");
  try {
    sql::apply_schema(options_for(database));
    FAIL();
  } catch (const sql::DatabaseError& error) {
    EXPECT_THAT(error.what(), HasSubstr("older than 3.2"));
  }
  EXPECT_EQ(session.value("SELECT to_regclass('postpone_migrations')"), "∅");
}

}  // namespace
}  // namespace postpone::tests
