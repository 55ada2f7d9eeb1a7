// The view postpone_jobs: what it says of a job, and how much of the tables a look at it reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/fetch_fixture.h"

namespace postpone::tests {
namespace {

using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class JobsView : public Queue {
 protected:
  std::string shown(int id, const std::string& columns) {
    return app.value("SELECT " + columns + " FROM postpone_jobs WHERE id = " + std::to_string(id));
  }
  std::string why(int id) { return shown(id, "waits_for"); }
};

TEST_F(JobsView, SaysWhatBecameOfAJob) {
  defer("queue => 'q', priority => 3, lock => 'sink'");
  EXPECT_EQ(
      shown(
          1,
          "status, task, queue, priority, lock, attempts, cause, worker, age < interval '1 min', started_at"),
      "todo|wash|q|3|sink|0|∅|∅|t|∅");
  fetch();
  EXPECT_EQ(shown(1, "status, worker, started_at <= now(), ended_at, waits_for"), "doing|kitchen/1|t|∅|∅");
  finish(outcome(1, "retry", R"("cause": "exception", "message": "no water")"));
  EXPECT_EQ(shown(1, "status, attempts, cause, message, worker, ended_at"),
            "todo|1|exception|no water|kitchen/1|∅");
  fetch();
  finish(outcome(1, "succeed", "", 2));
  EXPECT_EQ(shown(1, "status, attempts, cause, message, ended_at >= started_at, waits_for"),
            "succeeded|2|succeeded|∅|t|∅");
}

// Without an attempt of its own, a success has not the cause of the failure before it.
TEST_F(JobsView, ShowsNoCauseOfAnEarlierAttempt) {
  defer();
  fetch();
  finish(outcome(1, "retry", R"("cause": "exception", "message": "no water")"));
  fetch();
  finish(outcome(1, "succeed", R"("omit_attempt": true)", 2));
  EXPECT_EQ(shown(1, "status, cause, message"), "succeeded|∅|∅");
}

TEST_F(JobsView, SaysWhyAJobWaits) {
  defer("lock => 'sink'");
  EXPECT_EQ(why(1), "waiting for a worker");
  defer("lock => 'sink', queue => 'elsewhere'");
  EXPECT_EQ(why(2), "behind job 1 of its lock, which waits, too");
  fetch();
  EXPECT_EQ(why(2), "behind job 1 of its lock, which runs");
  defer("scheduled_at => now() + interval '1 day'");
  EXPECT_THAT(why(3), ContainsRegex("^scheduled for 20[0-9-]+ [0-9:]+"));
  defer("scheduled_at => 'infinity'");
  EXPECT_EQ(why(4), "until it is cancelled, or given another time");
  defer();
  app.rows("SELECT FROM postpone_fetch_jobs('{default}', 1, 1, may_claim => true)");
  EXPECT_EQ(why(5), "nothing: a worker has taken it");
}

TEST_F(JobsView, SaysThatNoWorkerServesAQueue) {
  defer("queue => 'mail'");
  EXPECT_EQ(why(1), "waiting for a worker") << "of which queues the workers serve nothing is known";
  app.rows("UPDATE postpone_workers SET queues = '{kitchen,cellar}'");
  EXPECT_EQ(why(1), "no worker serves queue mail");
  app.rows("SELECT postpone_register_worker('host:1', 'host', 'mail/1', 4711, '{mail}')");
  EXPECT_EQ(why(1), "waiting for a worker");
  app.rows("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour' WHERE id = 3");
  EXPECT_EQ(why(1), "no worker serves queue mail") << "that one is silent";
  app.rows("SELECT procrastinate_register_worker_v1()");
  EXPECT_EQ(why(1), "waiting for a worker") << "Python's may serve any";
  app.rows("DELETE FROM procrastinate_workers WHERE id > 2");
  app.rows("UPDATE postpone_workers SET queues = '{}' WHERE worker_id = 1");
  EXPECT_EQ(why(1), "waiting for a worker") << "one serves all";
}

TEST_F(JobsView, SaysHowARetriedJobEndedBefore) {
  defer();
  app.rows("UPDATE procrastinate_jobs SET status = 'failed', attempts = 1");
  app.rows(
      "INSERT INTO postpone_attempts (job_id, attempt, cause, message) VALUES (1, 1, 'exception', 'no "
      "plates')");
  app.rows("SELECT postpone_retry_job(1)");
  EXPECT_THAT(app.rows("SELECT status, attempts, cause, message FROM postpone_jobs"),
              ElementsAre("todo|2|exception|no plates"));
}

TEST_F(JobsView, ShowsNoProgressOfAnEarlierAttemptOnceAWorkerHasClaimedTheJob) {
  defer();
  app.rows("UPDATE procrastinate_jobs SET attempts = 1");
  app.rows("INSERT INTO postpone_results (job_id, attempt, progress_done) VALUES (1, 1, 7)");
  EXPECT_THAT(app.rows("SELECT progress FROM postpone_jobs"), ElementsAre("7"));
  app.rows("SELECT postpone_register_worker('s', 'h', 'n', 1)");
  app.rows("SELECT * FROM postpone_fetch_jobs(NULL, 1, 1, may_claim => true)");
  EXPECT_THAT(app.rows("SELECT status, progress IS NULL FROM postpone_jobs"), ElementsAre("todo|t"));
}

TEST_F(JobsView, ShowsNoResultOfAnAttemptThatIsToComeAgain) {
  defer();
  app.rows("UPDATE procrastinate_jobs SET status = 'succeeded', attempts = 1");
  app.rows("INSERT INTO postpone_results (job_id, attempt, result) VALUES (1, 1, '17')");
  EXPECT_THAT(app.rows("SELECT result FROM postpone_jobs"), ElementsAre("17"));
  app.rows("UPDATE procrastinate_jobs SET status = 'todo', attempts = 0");
  app.rows("UPDATE procrastinate_jobs SET status = 'succeeded', attempts = 1");
  EXPECT_THAT(app.rows("SELECT result IS NULL FROM postpone_jobs"), ElementsAre("t"));
}

TEST_F(JobsView, ShowsWhateverStandsInATable) {
  defer("scheduled_at => '-infinity'");
  defer();
  app.rows(
      "UPDATE procrastinate_events SET at = CASE job_id WHEN 1 THEN '-infinity' ELSE '294276-12-31 00:00+00' "
      "END "
      "::timestamptz");
  app.rows("UPDATE procrastinate_jobs SET attempts = 2147483647, status = 'doing' WHERE id = 1");
  app.rows("UPDATE procrastinate_jobs SET scheduled_at = '294276-12-31 23:59:59+00' WHERE id = 2");
  app.rows(
      "INSERT INTO postpone_results (job_id, attempt, progress_done) VALUES (1, 2147483647, -1), (2, 5, 1)");
  EXPECT_THAT(app.rows("SELECT * FROM postpone_jobs ORDER BY id"), ::testing::SizeIs(2));
}

// Nobody can change a job by way of what is shown of it.
TEST_F(JobsView, IsForTheMonitorToReadAndNobodyToWrite) {
  defer();
  app.rows(
      "DO $$ BEGIN CREATE ROLE postpone_monitor NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation "
      "THEN NULL; END $$");
  app.rows("GRANT SELECT ON postpone_jobs TO postpone_monitor");
  app.rows("SET ROLE postpone_monitor");
  EXPECT_THAT(app.rows("SELECT id, status, waits_for FROM postpone_jobs"),
              ElementsAre("1|todo|waiting for a worker"));
  EXPECT_THROW(app.rows("UPDATE postpone_jobs SET priority = 1"), SqlError);
}

// With many jobs, of each of which something is to be said, and with the statistics of empty tables.
class ALookAtTheView : public JobsView {
 protected:
  static constexpr int kJobs = 30000;

  ALookAtTheView() {
    for (const char* table :
         {"procrastinate_jobs", "procrastinate_events", "postpone_attempts", "postpone_results"})
      app.rows("ALTER TABLE " + std::string(table) + " SET (autovacuum_enabled = off); ANALYZE " + table);
    const std::string all = " FROM generate_series(1, " + std::to_string(kJobs) + ") AS n";
    app.rows(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, attempts, lock, status) SELECT 'q', 't', 1, "
        "'l' || n % 100, "
        "(CASE WHEN n % 2 = 0 THEN 'todo' ELSE 'succeeded' END)::procrastinate_job_status" +
        all);
    app.rows("INSERT INTO procrastinate_events (job_id, type) SELECT n, 'started'" + all);
    app.rows("INSERT INTO postpone_attempts (job_id, attempt, cause) SELECT n, 1, 'succeeded'" + all);
    app.rows("INSERT INTO postpone_results (job_id, attempt, result) SELECT n, 1, '3'" + all);
  }
  // So many rows and entries of indexes a statement reads.
  long reads_of(const std::string& statement) {
    app.rows("BEGIN");
    const long before = read();
    app.rows(statement);
    const long after = read();
    app.rows("COMMIT");
    return after - before;
  }

 private:
  long read() {
    return std::stol(
        app.value("SELECT sum(pg_stat_get_xact_tuples_returned(oid)) FROM pg_class WHERE relname ~ "
                  "'^(procrastinate|postpone)_' AND "
                  "relkind IN ('r', 'i') AND relnamespace = current_schema()::regnamespace"));
  }
};

constexpr const char* kOneJob = "SELECT * FROM postpone_jobs WHERE id = 15000";
constexpr const char* kLatest = "SELECT * FROM postpone_jobs ORDER BY id DESC LIMIT 50";

TEST_F(ALookAtTheView, ReadsTheJobsThatItShowsAlone) {
  for (const char* statistics : {"of empty tables", "up to date"}) {
    EXPECT_LT(reads_of(kOneJob), 100) << statistics;
    EXPECT_LT(reads_of(kLatest), 50 * 60) << statistics;
    app.rows("ANALYZE");
  }
  EXPECT_THAT(app.rows("SELECT count(*), count(result) FROM (SELECT * FROM postpone_jobs ORDER BY id DESC "
                       "LIMIT 50) AS latest"),
              ElementsAre("50|25"));
}

TEST_F(ALookAtTheView, NeverWalksThroughATable) {
  for (const char* statistics : {"of empty tables", "up to date"}) {
    for (const char* look : {kOneJob, kLatest}) {
      std::string plan;
      for (const std::string& line : app.rows(std::string("EXPLAIN ") + look)) plan += line + "\n";
      for (const char* table : {"jobs", "events", "attempts", "results"})
        EXPECT_THAT(plan, Not(ContainsRegex("Seq Scan on (procrastinate|postpone)_" + std::string(table))))
            << statistics;
      EXPECT_THAT(plan, Not(HasSubstr("Sort Key: job.id"))) << statistics << plan;
      EXPECT_THAT(plan, Not(HasSubstr("Hash"))) << statistics << plan;
    }
    app.rows("ANALYZE");
  }
}

// What is not asked for is not looked up.
TEST_F(ALookAtTheView, CountsByTheJobsAlone) {
  EXPECT_LT(reads_of("SELECT status, count(*) FROM postpone_jobs GROUP BY status"), kJobs + 100);
}

}  // namespace
}  // namespace postpone::tests
