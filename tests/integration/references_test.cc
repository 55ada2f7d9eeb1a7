// References between the tables: promises of foreign keys, kept by triggers, for whoever changes rows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/fetch_fixture.h"
#include "tests/integration/session.h"

namespace postpone::tests {
namespace {

using testing::HasSubstr;

class References : public Queue {
 protected:
  // A job that has ended: with events, an attempt, and a periodic row that names it.
  void run_a_job() {
    defer();
    app.rows(fetch_sql(1));
    app.rows(R"(SELECT postpone_finish_jobs(1, '[{"job_id": 1, "attempt": 1, "action": "succeed"}]'))");
    app.rows(
        "INSERT INTO procrastinate_periodic_defers (task_name, defer_timestamp, job_id) VALUES ('t', 1, 1)");
    ASSERT_EQ(left(), "3 1 1");
  }

  // Events, attempts, and periodic rows that name a job.
  std::string left() {
    return app.value(
        "SELECT concat_ws(' ', (SELECT count(*) FROM procrastinate_events), (SELECT count(*) FROM "
        "postpone_attempts), (SELECT count(job_id) FROM procrastinate_periodic_defers))");
  }
  // What a role may do that has no more than this privilege on this table.
  void become(const std::string& privileges, const std::string& table) {
    two.rows("CREATE ROLE narrow_" + database.name() + "; GRANT USAGE ON SCHEMA public TO narrow_" +
             database.name() + "; GRANT SELECT, " + privileges + " ON " + table + " TO narrow_" +
             database.name() + "; SET ROLE narrow_" + database.name());
  }
  void be_yourself() {
    two.rows("RESET ROLE; DROP OWNED BY narrow_" + database.name() + "; DROP ROLE narrow_" + database.name());
  }
  static std::string violation(Session& session, const std::string& sql) {
    try {
      session.rows(sql);
    } catch (const SqlError& error) {
      return error.sqlstate + " " + error.constraint;
    }
    return "none";
  }
};

TEST_F(References, ADeletedJobTakesItsEventsAndAttemptsAndIsForgottenBySchedules) {
  run_a_job();
  defer();
  app.rows("DELETE FROM procrastinate_jobs WHERE id = 1");
  EXPECT_EQ(left(), "1 0 0") << "the other job keeps its own";
}

TEST_F(References, WhoMayDeleteJobsNeedsNoRightsOnWhatGoesWithThem) {
  run_a_job();
  become("DELETE", "procrastinate_jobs");
  two.rows("DELETE FROM procrastinate_jobs");
  be_yourself();
  EXPECT_EQ(left(), "0 0 0");
}

TEST_F(References, TruncatedJobsTakeEverythingWithThem) {
  run_a_job();
  app.rows("TRUNCATE procrastinate_jobs CASCADE");
  EXPECT_EQ(left(), "0 0 0");
}

TEST_F(References, TheTablesAreTruncatedTogether) {
  run_a_job();
  app.rows(
      "TRUNCATE procrastinate_events, procrastinate_jobs, postpone_attempts, procrastinate_periodic_defers");
  EXPECT_EQ(left(), "0 0 0");
}

// TRUNCATE removes jobs that the snapshot does not show, and their events would stay.
TEST_F(References, AreTruncatedInATransactionThatSeesWhatItRemoves) {
  run_a_job();
  app.rows("BEGIN ISOLATION LEVEL REPEATABLE READ");
  EXPECT_EQ(violation(app, "TRUNCATE procrastinate_jobs CASCADE"), "25000 ");
  app.rows("ROLLBACK");
  EXPECT_EQ(left(), "3 1 1");
}

TEST_F(References, AJobThatIsDeletedWhileItIsReportedLeavesNoAttempt) {
  defer();
  app.rows(fetch_sql(1));
  one.rows("BEGIN");
  one.rows("SELECT * FROM postpone_rescue_worker(1, '[]', 'report', 3, 'gone', NULL)");
  two.send("DELETE FROM procrastinate_jobs");
  wait_until_blocked(database, two);
  one.rows("COMMIT");
  two.receive();
  EXPECT_EQ(left(), "0 0 0");
}

TEST_F(References, NoJobGetsAnotherId) {
  run_a_job();
  EXPECT_EQ(violation(app, "UPDATE procrastinate_jobs SET id = 7, priority = 3"), "23503 ");
  app.rows("UPDATE procrastinate_jobs SET id = id, priority = 3");
  EXPECT_EQ(left(), "3 1 1");
}

TEST_F(References, AJobThatWasEndedMeanwhileIsNotDeletedByAnOlderSnapshot) {
  defer();
  app.rows(fetch_sql(1));
  one.rows("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM procrastinate_jobs");
  app.rows(R"(SELECT postpone_finish_jobs(1, '[{"job_id": 1, "attempt": 1, "action": "succeed"}]'))");
  EXPECT_EQ(violation(one, "DELETE FROM procrastinate_jobs"), "40001 ");
  one.rows("ROLLBACK");
  EXPECT_EQ(left(), "3 1 0");
}

TEST_F(References, ThousandsOfJobsTakeTheirEventsWithoutALookAtAllOfThem) {
  app.rows("SELECT count(postpone_defer('t')) FROM generate_series(1, 3000)");
  app.rows("DELETE FROM procrastinate_jobs WHERE id > 1500");
  EXPECT_EQ(left(), "1500 0 0");
  // The plan is the same whatever the planner believes of the tables.
  app.rows("SELECT count(postpone_defer('t')) FROM generate_series(1, 3000)");
  app.rows("SELECT pg_stat_force_next_flush()");
  const std::string scans =
      "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'procrastinate_events'";
  app.rows("BEGIN");
  app.rows("DELETE FROM procrastinate_jobs WHERE id = 1");
  EXPECT_EQ(app.value(scans), "0");
  app.rows("COMMIT");
}

TEST_F(References, AnEventThatIsWrittenWhileItsJobIsDeletedGoesWithIt) {
  run_a_job();
  one.rows("BEGIN; UPDATE procrastinate_jobs SET status = 'todo'");
  two.send("DELETE FROM procrastinate_jobs");
  wait_until_blocked(database, two);
  one.rows("COMMIT");
  two.receive();
  EXPECT_EQ(left(), "0 0 0");
}

// Else whoever may make a table could delete events with the rights of their owner.
TEST_F(References, TheTriggerFunctionServesNoOtherTable) {
  run_a_job();
  app.rows(
      "CREATE TABLE mine (id bigint); INSERT INTO mine VALUES (1); CREATE TRIGGER mine AFTER DELETE ON "
      "mine REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION "
      "postpone_jobs_gone()");
  EXPECT_THAT(violation(app, "DELETE FROM mine"), HasSubstr("P0001"));
  app.rows("DROP TABLE mine");
  EXPECT_EQ(left(), "3 1 1");
}

}  // namespace
}  // namespace postpone::tests
