// What a client of Procrastinate, its shell and Django see of the schema.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/python_client.h"
#include "tests/integration/session.h"

namespace postpone::tests {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(PythonClient, ChecksTheConnection) {
  EXPECT_EQ(one("SELECT to_regclass('procrastinate_jobs') as check"), "procrastinate_jobs");
}

TEST_F(PythonClient, ListsAndCounts) {
  register_worker();
  defer(jobs({"q1,app.a,0,l,,{},", "q1,app.b,0,l,,{},", "q2,app.a,0,,,{},"}));
  fetch(null(), smallint(1));
  EXPECT_THAT(send("SELECT id FROM procrastinate_jobs WHERE ($1::bigint IS NULL OR id = $1) AND ($2::varchar "
                   "IS NULL OR "
                   "queue_name = $2) AND ($3::procrastinate_job_status IS NULL OR status = $3) AND "
                   "($4::bigint IS NULL OR "
                   "worker_id = $4) ORDER BY id ASC",
                   {null(), untyped("q1"), untyped("doing"), smallint(1)}),
              ElementsAre("1"));
  EXPECT_THAT(send("SELECT count(*) AS count, status FROM procrastinate_jobs GROUP BY status ORDER BY 1"),
              ElementsAre("1|doing", "2|todo"));
  EXPECT_THAT(send("WITH counts AS (SELECT queue_name, status, COUNT(*) AS jobs_count FROM "
                   "procrastinate_jobs GROUP BY 1, 2) "
                   "SELECT queue_name, sum(jobs_count), json_object_agg(status, jobs_count ORDER BY status) "
                   "FROM counts "
                   "GROUP BY 1 ORDER BY 1"),
              ElementsAre("q1|2|{ \"todo\" : 1, \"doing\" : 1 }", "q2|1|{ \"todo\" : 1 }"));
}

TEST_F(PythonClient, DeletesOldJobsByTheirLastEvent) {
  defer(jobs({"q,app.a,0,,,{},", "q,app.a,0,,,{},"}));
  finish(smallint(1), "succeeded");
  finish(smallint(2), "succeeded");
  session.rows("UPDATE procrastinate_events SET at = at - interval '3 hours' WHERE job_id = 1");
  send(
      "DELETE FROM procrastinate_jobs WHERE id IN (SELECT job.id FROM (SELECT DISTINCT ON (job.id) job.*, "
      "event.at AS "
      "latest_at FROM procrastinate_jobs job JOIN procrastinate_events event ON job.id = event.job_id ORDER "
      "BY job.id, "
      "event.at DESC) AS job WHERE job.status = ANY($1::procrastinate_job_status[]) AND ($2::varchar IS NULL "
      "OR "
      "job.queue_name = $2) AND latest_at < NOW() - ($3 || 'HOUR')::INTERVAL)",
      {untyped("{succeeded,failed}"), null(), smallint(2)});
  EXPECT_THAT(send("SELECT id FROM procrastinate_jobs"), ElementsAre("2"));
}

// Django's models read and write the tables by these names; `SELECT *` would also meet ours.
TEST_F(PythonClient, FindsTheColumnsByName) {
  send(
      "SELECT id, queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, "
      "attempts, "
      "abort_requested, worker_id FROM procrastinate_jobs");
  send("SELECT id, job_id, type, at FROM procrastinate_events");
  send("SELECT id, task_name, defer_timestamp, job_id, periodic_id FROM procrastinate_periodic_defers");
  send("SELECT id, last_heartbeat FROM procrastinate_workers");
}

TEST_F(PythonClient, KnowsEveryLabelOfTheStatus) {
  EXPECT_THAT(send("SELECT unnest(enum_range(NULL::procrastinate_job_status))"),
              ElementsAre("todo", "doing", "succeeded", "failed", "cancelled", "aborting", "aborted"));
  EXPECT_EQ(
      error_of(
          "INSERT INTO procrastinate_jobs (queue_name, task_name, abort_requested) VALUES ('q', 't', true)")
          .constraint,
      "check_not_todo_abort_requested");
}

// But for the one that takes its arguments as json, too: which of the two is meant, defer_conflict_test.cc tests.
TEST_F(PythonClient, MeetsNoOverloadedFunction) {
  EXPECT_THAT(
      send("SELECT proname FROM pg_proc WHERE proname ~ '^(procrastinate|postpone)_' GROUP BY proname HAVING "
           "count(*) > 1"),
      ElementsAre("postpone_defer"));
}

}  // namespace
}  // namespace postpone::tests
