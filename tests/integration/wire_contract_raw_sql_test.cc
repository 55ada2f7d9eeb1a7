// Triggers under the statements that people write themselves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/integration/python_client.h"
#include "tests/integration/session.h"

namespace postpone::tests {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(PythonClient, SeesOneNotificationPerQueueAndStatement) {
  session.rows("LISTEN " + any_queue +
               "; LISTEN \"procrastinate_queue_v1#q1\"; LISTEN \"procrastinate_queue_v1#q2\"");
  defer(jobs({"q1,app.a,0,,,{},", "q1,app.a,0,,,{},", "q2,app.a,0,,,{},2090-01-01 00:00:00+00"}));
  const std::string first = R"({"type":"job_inserted","job_id":1,"queue":"q1","count":2})";
  const std::string second = R"({"type":"job_inserted","job_id":3,"queue":"q2","count":0,"scheduled":true})";
  EXPECT_THAT(session.notes(), ::testing::UnorderedElementsAre(
                                   Note{"procrastinate_queue_v1#q1", first}, Note{any_queue, first},
                                   Note{"procrastinate_queue_v1#q2", second}, Note{any_queue, second}));
}

TEST_F(PythonClient, DeletingJobsUnlinksTheirPeriodicRows) {
  one("SELECT procrastinate_defer_periodic_job_v2('q', NULL, NULL, 't', 0, '', 60, '{}')");
  session.rows("DELETE FROM procrastinate_jobs");
  EXPECT_EQ(one("SELECT job_id FROM procrastinate_periodic_defers"), "∅");
}

TEST_F(PythonClient, InsertOnConflictDoesNotAnnounceWhatItLeftOut) {
  defer(jobs({"q,app.a,0,,once,{},"}));
  session.rows("LISTEN " + any_queue);
  session.rows(
      "INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock) VALUES ('q', 't', 'once') ON "
      "CONFLICT "
      "(queueing_lock) WHERE status = 'todo' DO NOTHING");
  EXPECT_THAT(session.notes(), IsEmpty());
  EXPECT_EQ(one("SELECT count(*) FROM procrastinate_events"), "1");
}

// MERGE came with PostgreSQL 15; before, one statement does both like this.
TEST_F(PythonClient, OneStatementWritesEventsOfItsInsertsAndUpdates) {
  defer(jobs({"q,app.a,0,,,{},"}));
  session.rows(one("SHOW server_version_num") < "150000"
                   ? "WITH matched AS (UPDATE procrastinate_jobs SET status = 'cancelled' WHERE id = 1) "
                     "INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('q', 'app.b')"
                   : "MERGE INTO procrastinate_jobs AS job USING (VALUES (1), (2)) AS wanted (id) ON job.id "
                     "= wanted.id "
                     "WHEN MATCHED THEN UPDATE SET status = 'cancelled' "
                     "WHEN NOT MATCHED THEN INSERT (queue_name, task_name) VALUES ('q', 'app.b')");
  EXPECT_THAT(events("1"), ElementsAre("deferred", "cancelled"));
  EXPECT_THAT(events("2"), ElementsAre("deferred"));
}

TEST_F(PythonClient, WritesTheEventOfEveryChangeOfStatus) {
  struct Change {
    const char *from, *to, *event;
  };
  for (const auto& [from, to, event] : std::vector<Change>{{"todo", "doing", "started"},
                                                           {"doing", "todo", "deferred_for_retry"},
                                                           {"doing", "failed", "failed"},
                                                           {"doing", "succeeded", "succeeded"},
                                                           {"doing", "aborted", "aborted"},
                                                           {"todo", "cancelled", "cancelled"},
                                                           {"todo", "failed", "cancelled"},
                                                           {"todo", "succeeded", "cancelled"},
                                                           {"failed", "todo", "retried"}}) {
    const std::string id =
        one("INSERT INTO procrastinate_jobs (queue_name, task_name, status) VALUES ('q', 't', '" +
            std::string(from) + "') RETURNING id");
    const std::size_t before = events(id).size();
    send("UPDATE procrastinate_jobs SET status = '" + std::string(to) + "' WHERE id = " + id);
    const Values after = events(id);
    ASSERT_EQ(after.size(), before + 1) << from << " to " << to;
    EXPECT_EQ(after.back(), event) << from << " to " << to;
  }
}

}  // namespace
}  // namespace postpone::tests
