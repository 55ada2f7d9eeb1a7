// What a client of Procrastinate gets back when it fetches, finishes, retries and cancels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/integration/python_client.h"
#include "tests/integration/session.h"

namespace postpone::tests {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// --- fetch, finish ---

TEST_F(PythonClient, FetchesARowOfNullsWhenThereIsNothing) {
  register_worker();
  EXPECT_EQ(fetch(null(), smallint(1)), "∅|∅|∅|∅|∅|∅|∅|∅|∅|∅|∅");
}

TEST_F(PythonClient, FetchesWithEveryTypeOfParameter) {
  register_worker();
  for (const Param& worker : {smallint(1), integer(1), bigint(1), untyped("1")}) {
    for (const Param& queues :
         {null(), untyped("{q}"), untyped("{other,q}"), Param{"{q}", 1015}, Param{"{q}", 1009}}) {
      const std::string id = defer(jobs({"q,app.a,0,,,{},"})).front();
      EXPECT_EQ(fetch(queues, worker), id + "|doing|app.a|0|∅|∅|{}|∅|q|0|1");
    }
  }
  defer(jobs({"q,app.a,0,,,{},"}));
  EXPECT_EQ(fetch(untyped("{r}"), smallint(1)), "∅|∅|∅|∅|∅|∅|∅|∅|∅|∅|∅");
}

TEST_F(PythonClient, SucceedsAndKeepsItsWorker) {
  register_worker();
  defer(jobs({"q,app.a,0,,,{},"}));
  fetch(null(), smallint(1));
  finish(smallint(1), "succeeded");
  EXPECT_EQ(job("1"), "succeeded|1|f|1");
  EXPECT_THAT(events("1"), ElementsAre("deferred", "started", "succeeded"));
}

TEST_F(PythonClient, FinishesFromTodoWithoutCountingAnAttempt) {
  defer(jobs({"q,app.a,0,,,{},"}));
  finish(bigint(1), "failed");
  EXPECT_EQ(job("1"), "failed|0|f|∅");
  EXPECT_THAT(events("1"), ElementsAre("deferred", "cancelled"));
}

TEST_F(PythonClient, FinishesAndDeletes) {
  register_worker();
  defer(jobs({"q,app.a,0,,,{},"}));
  fetch(null(), smallint(1));
  finish(smallint(1), "succeeded", true);
  EXPECT_EQ(one("SELECT count(*) FROM procrastinate_jobs"), "0");
  EXPECT_EQ(one("SELECT count(*) FROM procrastinate_events"), "0");
}

TEST_F(PythonClient, CannotFinishWhatIsNotRunning) {
  defer(jobs({"q,app.a,0,,,{},"}));
  finish(smallint(1), "aborted");
  for (const char* id : {"1", "99"}) {
    EXPECT_EQ(error_of("SELECT procrastinate_finish_job_v1($1, $2, $3)",
                       {untyped(id), untyped("succeeded"), boolean(false)})
                  .message,
              std::string("Job was not found or not in \"doing\" or \"todo\" status (job id: ") + id + ")");
  }
}

TEST_F(PythonClient, CannotFinishAsSomethingElse) {
  defer(jobs({"q,app.a,0,,,{},"}));
  for (const char* status : {"todo", "doing", "cancelled"}) {
    EXPECT_THAT(error_of("SELECT procrastinate_finish_job_v1($1, $2, $3)",
                         {smallint(1), untyped(status), boolean(false)})
                    .message,
                AllOf(HasSubstr(R"(End status should be either "succeeded", "failed" or "aborted")"),
                      HasSubstr("(job id: 1)")));
  }
  EXPECT_EQ(job("1"), "todo|0|f|∅");
}

// The column holds no greater number, and a job is no worse for having been tried so often.
TEST_F(PythonClient, CountsAttemptsUpToTheLastNumberAndStaysThere) {
  register_worker();
  defer(jobs({"q,app.a,0,,,{},"}));
  session.rows("UPDATE procrastinate_jobs SET status = 'doing', attempts = 2147483647, worker_id = 1");
  retry(smallint(1));
  EXPECT_EQ(job("1"), "todo|2147483647|f|1");
  fetch(null(), smallint(1));
  finish(smallint(1), "failed", false);
  EXPECT_EQ(job("1"), "failed|2147483647|f|1");
  retry(smallint(1));
  EXPECT_EQ(job("1"), "todo|2147483647|f|1");
}

// --- retry, cancel ---

TEST_F(PythonClient, RetriesWithNewPriorityQueueAndLock) {
  register_worker();
  defer(jobs({"q,app.a,0,,,{},"}));
  fetch(null(), smallint(1));
  retry(smallint(1), smallint(7), untyped("r"), untyped("l"));
  EXPECT_EQ(job("1", "status, attempts, priority, queue_name, lock, scheduled_at = '2024-01-01 00:00:00+00'"),
            "todo|1|7|r|l|t");
  EXPECT_THAT(events("1"), ElementsAre("deferred", "started", "deferred_for_retry", "scheduled"));
}

TEST_F(PythonClient, RetriesAFailedJob) {
  register_worker();
  defer(jobs({"q,app.a,4,l,,{},"}));
  fetch(null(), smallint(1));
  finish(smallint(1), "failed");
  retry(smallint(1));
  EXPECT_EQ(job("1", "status, attempts, priority, queue_name, lock"), "todo|2|4|q|l");
  EXPECT_THAT(events("1"), ElementsAre("deferred", "started", "failed", "retried", "scheduled"));
}

TEST_F(PythonClient, CannotRetryWhatHasNotFailed) {
  defer(jobs({"q,app.a,0,,,{},"}));
  const std::vector<Param> arguments = {
      smallint(1), {"2024-01-01 00:00:00+00", 1184}, null(), null(), null()};
  EXPECT_EQ(error_of("SELECT procrastinate_retry_job_v2($1, $2, $3, $4, $5)", arguments).message,
            "Job was not found or has an invalid status to retry (job id: 1)");
  session.rows("UPDATE procrastinate_jobs SET status = 'failed'");
  EXPECT_EQ(error_of("SELECT procrastinate_retry_job_v1($1, $2, $3, $4, $5)", arguments).message,
            "Job was not found or not in \"doing\" status (job id: 1)");
}

TEST_F(PythonClient, RetryOfAJobThatIsToStopFails) {
  register_worker();
  defer(jobs({"q,app.a,0,,,{},"}));
  fetch(null(), smallint(1));
  EXPECT_EQ(cancel(smallint(1), true, false), "1");
  retry(smallint(1));
  EXPECT_EQ(job("1"), "failed|1|f|1");
  EXPECT_THAT(events("1"), ElementsAre("deferred", "started", "abort_requested", "failed"));
}

TEST_F(PythonClient, RetryNeverMeetsAUniqueViolation) {
  register_worker();
  defer(jobs({"q,app.a,0,,once,{},"}));
  fetch(null(), smallint(1));
  defer(jobs({"q,app.a,0,,once,{},"}));
  retry(smallint(1));
  EXPECT_EQ(job("1"), "failed|1|f|1");
  EXPECT_EQ(
      one("SELECT cause, message, superseded_by FROM postpone_attempts WHERE job_id = 1 AND attempt = 1"),
      "superseded|superseded by job 2|2");
  retry(smallint(1));  // failed, and stays so
  EXPECT_EQ(job("1"), "failed|1|f|1");
}

TEST_F(PythonClient, CancelsWhatWaits) {
  defer(jobs({"q,app.a,0,,,{},", "q,app.b,0,,,{},"}));
  EXPECT_EQ(cancel(smallint(1), false, false), "1");
  EXPECT_EQ(cancel(integer(2), true, true), "2");
  EXPECT_EQ(cancel(bigint(1), true, false), "∅");
  EXPECT_EQ(cancel(bigint(99), true, false), "∅");
  EXPECT_EQ(job("1"), "cancelled|0|f|∅");
  EXPECT_THAT(events("1"), ElementsAre("deferred", "cancelled"));
  EXPECT_EQ(one("SELECT count(*) FROM procrastinate_jobs"), "1");
}

TEST_F(PythonClient, AbortsWhatRuns) {
  register_worker();
  defer(jobs({"q,app.a,0,,,{},"}));
  fetch(null(), smallint(1));
  EXPECT_EQ(cancel(smallint(1), false, false), "∅");
  session.rows("LISTEN " + any_queue + "; LISTEN \"procrastinate_queue_v1#q\"");
  EXPECT_EQ(cancel(smallint(1), true, true), "1");
  const std::string payload = R"({"type" : "abort_job_requested", "job_id" : 1})";
  EXPECT_THAT(session.notes(),
              ElementsAre(Note{"procrastinate_queue_v1#q", payload}, Note{any_queue, payload}));
  EXPECT_EQ(cancel(smallint(1), true, false), "1");  // asked again: the same answer, no second event
  EXPECT_THAT(session.notes(), IsEmpty());
  EXPECT_THAT(send("SELECT id from procrastinate_jobs WHERE status = 'doing' AND abort_requested = true AND "
                   "($1::varchar "
                   "IS NULL OR queue_name = $1)",
                   {null()}),
              ElementsAre("1"));
  finish(smallint(1), "aborted");
  EXPECT_EQ(job("1"), "aborted|1|f|1");
  EXPECT_THAT(events("1"), ElementsAre("deferred", "started", "abort_requested", "aborted"));
}

}  // namespace
}  // namespace postpone::tests
