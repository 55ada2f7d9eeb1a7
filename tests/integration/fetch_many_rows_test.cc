// Statements on many rows, and how much of the table the hot queries read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/fetch_fixture.h"

namespace postpone::tests {
namespace {

using ::testing::SizeIs;

// A statement that follows a cached plan for one row, on many: quadratic plans would take minutes here.
TEST_F(Queue, AStatementOnTenThousandJobsIsOneStatement) {
  defer();
  fetch();
  app.rows("SELECT procrastinate_cancel_job_v1(1, true, false)");
  app.rows("SELECT postpone_defer('wash', lock => 'l' || i) FROM generate_series(1, 10) AS i");
  app.rows(
      "INSERT INTO procrastinate_jobs (queue_name, task_name) SELECT 'q' || i % 7, 't' FROM "
      "generate_series(1, 10000) i");
  app.rows("UPDATE procrastinate_jobs SET priority = 3 WHERE status = 'todo'");
  EXPECT_THAT(fetch(1, 10000), SizeIs(10000));
  app.rows("DELETE FROM procrastinate_jobs WHERE status = 'doing'");
  EXPECT_EQ(app.value("SELECT count(*) FROM procrastinate_jobs"), "10");
}

// The plans of the hot queries: with 20,000 jobs of each kind in the table no query may read all of it.
class HotQueries : public Queue {
 protected:
  HotQueries() {
    // Of an empty table: the planner believes that it is small.
    app.rows("ALTER TABLE procrastinate_jobs SET (autovacuum_enabled = off); ANALYZE procrastinate_jobs");
  }
  void run_one(const std::string& more = "") {
    for (const std::string& id : fetch(1, 1, "'{default}'")) finish(outcome(std::stoi(id), "succeed", more));
  }
  // The session has made its plans by then, or makes them at the first of these jobs.
  void expect_short_walks() {
    app.rows(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, status) SELECT 'default', 't', 'succeeded' "
        "FROM generate_series(1, 20000);"
        "INSERT INTO procrastinate_jobs (queue_name, task_name, lock) SELECT 'default', 't', 'l' || i FROM "
        "generate_series(1, 20000) AS i");
    for (int i = 0; i < 8; ++i) run_one();
    app.rows("BEGIN");
    const long before = read();
    for (int i = 0; i < 10; ++i) {
      run_one();
      run_one(kDelete);
      app.rows("SELECT id FROM procrastinate_fetch_job_v2('{default}', 2)");
    }
    EXPECT_LT(read() - before, 10 * 750);
    app.rows("COMMIT");
  }
  static constexpr const char* kDelete = R"("delete_job": true)";

 private:
  // What this session has read since the transaction began: of that every version of PostgreSQL gives account
  // at once.
  long read() {
    return std::stol(
        app.value("SELECT pg_stat_get_xact_tuples_returned('procrastinate_jobs'::regclass) + (SELECT sum("
                  "pg_stat_get_xact_tuples_returned(indexrelid)) FROM pg_index WHERE indrelid = "
                  "'procrastinate_jobs'::regclass)"));
  }
};

TEST_F(HotQueries, ReadNoMoreThanTheyNeed) {
  expect_short_walks();
}

TEST_F(HotQueries, ReadNoMoreThanTheyNeedWithThePlansOfAnEmptyTable) {
  for (const char* more : {"", kDelete}) {
    finish(outcome(1, "succeed", more));  // as a sub-worker rehearses it
    defer();
    run_one(more);
    app.rows("DELETE FROM procrastinate_jobs");
  }
  expect_short_walks();
}

}  // namespace
}  // namespace postpone::tests
