// Who gives way to whom when a job that is to wait again meets one with its queueing lock.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/fetch_fixture.h"
#include "tests/integration/session.h"

namespace postpone::tests {
namespace {

using ::testing::ElementsAre;

TEST_F(Queue, RetryGivesWayToAWaitingJob) {
  defer("queueing_lock => 'once'");
  fetch();
  defer("queueing_lock => 'once'");
  EXPECT_THAT(finish(outcome(1, "retry", R"("message": "no water", "cause": "exception")")),
              ElementsAre("1|superseded|2|failed"));
  EXPECT_EQ(job(1), "failed|1|∅");
  EXPECT_THAT(attempts(1, "cause, message, superseded_by"),
              ElementsAre("superseded|superseded by job 2: no water|2"));
  EXPECT_THAT(events(1), ElementsAre("deferred", "started", "failed"));
}

TEST_F(Queue, ReleaseGivesWayToAWaitingJob) {
  defer("queueing_lock => 'once'");
  fetch();
  defer("queueing_lock => 'once'");
  EXPECT_THAT(finish(outcome(1, "release")), ElementsAre("1|superseded|2|failed"));
  EXPECT_THAT(attempts(1, "cause, message"), ElementsAre("superseded|superseded by job 2"));
}

TEST_F(Queue, OfTwoRetriesThatCollideTheFirstWaits) {
  defer("queueing_lock => 'once'");
  fetch();
  defer("queueing_lock => 'once'");
  fetch();
  defer();
  fetch();
  EXPECT_THAT(finish(outcome(1, "retry") + "," + outcome(3, "succeed") + "," + outcome(2, "retry")),
              ElementsAre("1|recorded|∅|todo", "3|recorded|∅|succeeded", "2|superseded|1|failed"));
}

TEST_F(Queue, ARetryThatCollidesWithAnUncommittedJobWaitsForIt) {
  for (const char* end : {"COMMIT", "ROLLBACK"}) {
    SCOPED_TRACE(end);
    app.rows("DELETE FROM procrastinate_jobs; ALTER SEQUENCE procrastinate_jobs_id_seq RESTART");
    defer("queueing_lock => 'once'");
    fetch();
    two.rows("BEGIN");
    two.rows("SELECT postpone_defer('wash', queueing_lock => 'once')");
    one.send(finish_sql(1, outcome(1, "retry")));
    wait_until_blocked(database, one);
    two.rows(end);
    EXPECT_THAT(one.receive(),
                ElementsAre(std::string(end) == "COMMIT" ? "1|superseded|2|failed" : "1|recorded|∅|todo"));
  }
}

TEST_F(Queue, ADeferThatMeetsAnUncommittedRetryIsRefused) {
  defer("queueing_lock => 'once'");
  fetch();
  one.rows("BEGIN");
  one.rows(finish_sql(1, outcome(1, "retry")));
  two.send("SELECT postpone_defer('wash', queueing_lock => 'once')");
  wait_until_blocked(database, two);
  one.rows("COMMIT");
  try {
    two.receive();
    FAIL();
  } catch (const SqlError& error) {
    EXPECT_EQ(error.constraint, "procrastinate_jobs_queueing_lock_idx_v1");
  }
}

TEST_F(Queue, PeopleAreToldWhyAJobCannotRunAgain) {
  defer("queueing_lock => 'once'");
  fetch();
  finish(outcome(1, "fail"));
  defer("queueing_lock => 'once'");
  const std::string retry = "SELECT * FROM postpone_retry_job(1)";
  EXPECT_EQ(app.value(retry), "1|superseded|2|failed");
  EXPECT_THAT(attempts(1, "cause"), ElementsAre("exception"));
  fetch();
  EXPECT_EQ(app.value(retry), "1|recorded|∅|todo");
  EXPECT_THROW(app.value("SELECT * FROM postpone_retry_job(1)"), SqlError);
  app.rows("SELECT procrastinate_cancel_job_v1(1, false, false)");
  EXPECT_EQ(app.value("SELECT disposition, status FROM postpone_retry_job(1, new_priority => 7)"),
            "recorded|todo");
  EXPECT_EQ(job(1, "priority, attempts"), "7|2");
}

}  // namespace
}  // namespace postpone::tests
