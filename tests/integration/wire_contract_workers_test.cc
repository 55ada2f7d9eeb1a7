// The workers of Procrastinate, beside ours.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/python_client.h"
#include "tests/integration/session.h"

namespace postpone::tests {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(PythonClient, RegistersBeatsAndLeaves) {
  EXPECT_EQ(register_worker(), "1");
  session.rows("UPDATE procrastinate_workers SET last_heartbeat = 'epoch'");
  send("SELECT procrastinate_update_heartbeat_v1($1)", {smallint(1)});
  EXPECT_EQ(one("SELECT last_heartbeat = now() - interval '0' OR last_heartbeat > 'epoch' FROM "
                "procrastinate_workers"),
            "t");
  send("SELECT procrastinate_unregister_worker_v1($1)", {smallint(1)});
  EXPECT_EQ(one("SELECT count(*) FROM procrastinate_workers"), "0");
}

TEST_F(PythonClient, PrunesTheSilent) {
  register_worker();
  register_worker();
  defer(jobs({"q,app.a,0,,,{},"}));
  fetch(null(), smallint(2));
  session.rows("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute' WHERE id = 2");
  const std::string statement = "SELECT * FROM procrastinate_prune_stalled_workers_v1($1)";
  EXPECT_THAT(send(statement, {smallint(90)}), IsEmpty());
  EXPECT_THAT(send(statement, {Param{"30.5", 701}}), ElementsAre("2"));
  EXPECT_EQ(job("1"), "doing|0|f|∅");
}

TEST_F(PythonClient, LeavesThePruningOfOurWorkersToUs) {
  register_worker();
  one("SELECT postpone_register_worker('host:1', 'host', 'kitchen/1', 4711)");
  session.rows("UPDATE procrastinate_workers SET last_heartbeat = 'epoch'");
  EXPECT_THAT(send("SELECT * FROM procrastinate_prune_stalled_workers_v1($1)", {smallint(30)}),
              ElementsAre("1"));
  EXPECT_EQ(one("SELECT id FROM procrastinate_workers"), "2");
  EXPECT_THAT(send("SELECT * FROM postpone_stalled_workers(30, false)"), ElementsAre("2"));
}

TEST_F(PythonClient, FindsStalledJobs) {
  register_worker();
  defer(jobs({"q,app.a,0,,,{},", "q,app.a,0,,,{},"}));
  fetch(null(), smallint(1));
  fetch(null(), smallint(1));
  session.rows(
      "UPDATE procrastinate_jobs SET worker_id = NULL WHERE id = 1; UPDATE procrastinate_events SET at = at "
      "- "
      "interval '1 hour' WHERE job_id = 2");
  const std::string by_heartbeat =
      "WITH silent AS (SELECT id FROM procrastinate_workers WHERE last_heartbeat < NOW() - ($1 || ' "
      "SECOND')::INTERVAL) "
      "SELECT job.id FROM procrastinate_jobs job LEFT JOIN silent ON silent.id = job.worker_id WHERE "
      "job.status = 'doing' "
      "AND (job.worker_id IS NULL OR silent.id IS NOT NULL)";
  EXPECT_THAT(send(by_heartbeat, {smallint(30)}), ElementsAre("1"));
  const std::string by_started =
      "SELECT job.id, MAX(event.at) IS NULL FROM procrastinate_jobs job JOIN procrastinate_events event ON "
      "event.job_id = "
      "job.id WHERE event.type = 'started' AND job.status = 'doing' GROUP BY job.id HAVING MAX(event.at) < "
      "NOW() - ($1 || "
      "'SECOND')::INTERVAL";
  EXPECT_THAT(send(by_started, {smallint(60)}), ElementsAre("2|f"));
}

}  // namespace
}  // namespace postpone::tests
