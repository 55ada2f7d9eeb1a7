// What a client of Procrastinate gets back when it defers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/integration/python_client.h"
#include "tests/integration/session.h"

namespace postpone::tests {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(PythonClient, DefersManyInTheOrderGiven) {
  EXPECT_THAT(
      defer(jobs({"q1,app.a,3,l,,\"{\"\"x\"\": 1}\",", "q2,app.b,0,,once,{},2030-01-01 00:00:00+00"})),
      ElementsAre("1", "2"));
  EXPECT_EQ(
      job("1", "queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts"),
      "q1|app.a|3|l|∅|{\"x\": 1}|todo|∅|0");
  EXPECT_EQ(job("2", "queue_name, queueing_lock, scheduled_at = '2030-01-01 00:00:00+00'"), "q2|once|t");
  EXPECT_THAT(events("2"), ElementsAre("deferred", "scheduled"));
}

TEST_F(PythonClient, DefersNothingForAnEmptyArray) {
  EXPECT_THAT(defer("{}"), IsEmpty());
  EXPECT_EQ(one("SELECT procrastinate_defer_jobs_v1($1::procrastinate_job_to_defer_v1[])", {untyped("{}")}),
            "∅");
}

TEST_F(PythonClient, IsToldOfAQueueingLockByConstraintAndDetail) {
  defer(jobs({"q,app.a,0,,once,{},"}));
  const SqlError error = error_of("SELECT procrastinate_defer_jobs_v1($1::procrastinate_job_to_defer_v1[])",
                                  {untyped(jobs({"q,app.b,0,,,{},", "q,app.a,0,,once,{},"}))});
  EXPECT_EQ(error.sqlstate, "23505");
  EXPECT_EQ(error.constraint, "procrastinate_jobs_queueing_lock_idx_v1");
  EXPECT_EQ(error.detail, "Key (queueing_lock)=(once) already exists.");
  EXPECT_EQ(one("SELECT count(*) FROM procrastinate_jobs"), "1");
}

TEST_F(PythonClient, DefersToAQueueWithALongName) {
  const std::string name(128, 'q');
  session.rows("LISTEN " + any_queue);
  EXPECT_THAT(defer(jobs({name + ",app.a,0,,,{},"})), ElementsAre("1"));
  const std::vector<Note> notes = session.notes();
  ASSERT_THAT(notes, SizeIs(1));
  EXPECT_EQ(notes[0].channel, any_queue);
  EXPECT_THAT(notes[0].payload, HasSubstr(R"("type":"job_inserted")"));
}

TEST_F(PythonClient, DefersAPeriodicJobOnce) {
  const auto tick = [&](int timestamp) {
    return one("SELECT procrastinate_defer_periodic_job_v2($1, $2, $3, $4, $5, $6, $7, $8) AS id",
               {untyped("q"), null(), null(), untyped("app.sweep"), smallint(2), untyped(""),
                integer(timestamp), jsonb("{\"timestamp\": 1700000000}")});
  };
  EXPECT_EQ(tick(1700000000), "1");
  EXPECT_EQ(tick(1700000000), "∅");
  EXPECT_EQ(tick(1700000060), "2");
  EXPECT_THAT(send("SELECT defer_timestamp, job_id FROM procrastinate_periodic_defers"),
              ElementsAre("1700000060|2"));
  EXPECT_EQ(job("1", "priority, args"), "2|{\"timestamp\": 1700000000}");
}

TEST_F(PythonClient, PeriodicJobKeepsItsTickFreeWhenItIsAlreadyEnqueued) {
  const std::vector<Param> tick = {untyped("q"), null(),      untyped("once"),     untyped("app.sweep"),
                                   smallint(0),  untyped(""), integer(1700000000), jsonb("{}")};
  const std::string statement =
      "SELECT procrastinate_defer_periodic_job_v2($1, $2, $3, $4, $5, $6, $7, $8) AS id";
  defer(jobs({"q,app.sweep,0,,once,{},"}));
  EXPECT_EQ(error_of(statement, tick).constraint, "procrastinate_jobs_queueing_lock_idx_v1");
  session.rows("UPDATE procrastinate_jobs SET status = 'cancelled'");
  EXPECT_NE(one(statement, tick), "∅");
}

}  // namespace
}  // namespace postpone::tests
