// References between the tables: promises of foreign keys, kept by triggers, for whoever changes rows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/fetch_fixture.h"
#include "tests/integration/session.h"

namespace postpone::tests {
namespace {

using testing::ElementsAre;
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

constexpr const char* kLostLease = "23503 procrastinate_jobs_worker_id_fkey";

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
  app.rows("TRUNCATE procrastinate_jobs");
  EXPECT_EQ(left(), "0 0 0");
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

TEST_F(References, ADeletedWorkerIsForgottenByItsJobs) {
  defer();
  app.rows(fetch_sql(1));
  become("DELETE", "procrastinate_workers");
  two.rows("DELETE FROM procrastinate_workers WHERE id = 1");
  be_yourself();
  EXPECT_EQ(job(1), "doing|0|∅");
  defer();
  app.rows(fetch_sql(2));
  app.rows("TRUNCATE procrastinate_workers CASCADE");
  EXPECT_EQ(job(2), "doing|0|∅");
}

TEST_F(References, NoJobGetsAWorkerThatIsNotThere) {
  defer();
  EXPECT_EQ(violation(app, "UPDATE procrastinate_jobs SET worker_id = 77"), kLostLease);
  EXPECT_EQ(violation(app,
                      "INSERT INTO procrastinate_jobs (queue_name, task_name, status, worker_id) VALUES "
                      "('q', 't', 'doing', 77)"),
            kLostLease);
  EXPECT_EQ(violation(app, "SELECT * FROM procrastinate_fetch_job_v2(NULL, 77)"), kLostLease);
  EXPECT_EQ(violation(app, fetch_sql(77)), kLostLease);
  EXPECT_EQ(job(1), "todo|0|∅");
}

TEST_F(References, AWorkerThatAJobIsGivenToIsNotDeletedBeforeThatIsSeen) {
  defer();
  one.rows("BEGIN; UPDATE procrastinate_jobs SET status = 'doing', worker_id = 1");
  two.send("DELETE FROM procrastinate_workers WHERE id = 1");
  wait_until_blocked(database, two);
  one.rows("COMMIT");
  two.receive();
  EXPECT_EQ(job(1), "doing|0|∅") << "it was deleted after that, and forgotten";
}

// Else whoever may make a table could delete events with the rights of their owner.
TEST_F(References, TheTriggerFunctionsServeNoOtherTable) {
  run_a_job();
  for (const std::string function : {"postpone_forget_deleted_jobs", "postpone_forget_deleted_workers"}) {
    app.rows(
        "CREATE TABLE mine (id bigint); INSERT INTO mine VALUES (1); CREATE TRIGGER mine AFTER DELETE ON "
        "mine REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION " +
        function + "()");
    EXPECT_THAT(violation(app, "DELETE FROM mine"), HasSubstr("P0001"));
    app.rows("DROP TABLE mine");
  }
  EXPECT_EQ(left(), "3 1 1");
}

}  // namespace
}  // namespace postpone::tests
