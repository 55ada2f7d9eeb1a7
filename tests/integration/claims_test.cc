// Claims: unlocked jobs that a worker takes without a write to their rows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/claims_fixture.h"

namespace postpone::tests {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(AClaim, LeavesTheRowAsItIsAndKeepsAllOthersAway) {
  for (int i = 0; i < 3; ++i) defer();
  EXPECT_THAT(claim(1, 2), ElementsAre("1|t", "2|t"));
  EXPECT_EQ(job(1), "todo|0|∅");
  EXPECT_EQ(claimed_by(1), "{1,2}");
  EXPECT_EQ(app.value("SELECT id FROM procrastinate_fetch_job_v2(NULL, 2)"), "3");
  EXPECT_THAT(claim(2, 5), IsEmpty());
  EXPECT_THAT(fetch(2, 5), IsEmpty());
  EXPECT_EQ(app.value("SELECT id FROM procrastinate_fetch_job_v2(NULL, 2)"), "∅");
}

TEST_F(AClaim, EndsWithTheSameTracesAsAnyJob) {
  defer();
  defer();
  claim(1, 2);
  EXPECT_THAT(succeed("{1,2}", "{1,1}"), IsEmpty());
  EXPECT_EQ(job(1), "succeeded|1|∅");
  EXPECT_THAT(events(2), ElementsAre("deferred", "started", "succeeded"));
  EXPECT_THAT(attempts(1, "attempt, cause, run_time, cpu_time, max_rss, worker_id, worker_name"),
              ElementsAre("1|succeeded|1.5|0.5|4096|1|kitchen/1"));
  EXPECT_EQ(claimed_by(1), "{}");
}

TEST_F(AClaim, ThatFailedOrWasToBeDeletedEndsAsAnyJob) {
  for (int i = 0; i < 3; ++i) defer();
  claim(1, 3);
  EXPECT_THAT(finish(outcome(1, "fail", R"("message": "oh")")), ElementsAre("1|recorded|∅|failed"));
  EXPECT_THAT(events(1), ElementsAre("deferred", "started", "failed"));
  EXPECT_THAT(succeed("{2}", "{1}", 1, "true"), IsEmpty());
  EXPECT_EQ(app.value("SELECT count(*) FROM procrastinate_jobs WHERE id = 2"), "0");
  EXPECT_EQ(claimed_by(1), "{3}");
}

TEST_F(AClaim, OfAnotherAttemptOrWorkerIsNotEnded) {
  defer();
  defer();
  claim(1, 2);
  EXPECT_THAT(succeed("{1}", "{1}", 2), ElementsAre("1|gone|∅|todo"));
  EXPECT_EQ(claimed_by(1), "{1,2}");
  EXPECT_THAT(succeed("{1,2}", "{2,1}"), ElementsAre("1|gone|∅|doing"));
  EXPECT_EQ(job(1), "doing|0|1");
}

TEST_F(AClaim, WhoseAnswerWasLostIsAskedForAgain) {
  defer();
  claim();
  succeed("{1}", "{1}");
  EXPECT_THAT(succeed("{1}", "{1}"), ElementsAre("1|already_recorded|∅|succeeded"));
  EXPECT_THAT(attempts(1), SizeIs(1));
}

TEST_F(AClaim, IsForPlainJobsOnly) {
  defer("lock => 'tap'");
  defer();
  EXPECT_THAT(claim(1, 5), ElementsAre("1|f", "2|t"));
  EXPECT_EQ(job(1), "doing|0|1");
  EXPECT_THAT(events(1), ElementsAre("deferred", "started"));
  EXPECT_THAT(succeed("{1,2}", "{1,1}"), IsEmpty());
  defer("queueing_lock => 'once'");
  EXPECT_THAT(claim(), ElementsAre("3|f"));
  defer();
  EXPECT_THAT(claim(2, 1, ", slow_tasks => '{wash}'"), ElementsAre("4|f"));
}

TEST_F(AClaim, ThatIsSettledRunsAsAnyJob) {
  defer();
  defer();
  claim(1, 2);
  settle(1, "'{1}'");
  EXPECT_EQ(job(1), "doing|0|1");
  EXPECT_EQ(job(2), "todo|0|∅");
  EXPECT_EQ(claimed_by(1), "{2}");
  EXPECT_THAT(events(1), ElementsAre("deferred", "started"));
  EXPECT_THAT(succeed("{1,2}", "{1,1}"), IsEmpty());
  EXPECT_THAT(events(1), ElementsAre("deferred", "started", "succeeded"));
}

TEST_F(AClaim, ThatIsGivenBackWaitsForAnybodyAndIsAnnounced) {
  defer();
  defer();
  claim(1, 2);
  app.rows("LISTEN " + std::string(kAnyQueue));
  EXPECT_THAT(finish(outcome(2, "release") + "," + outcome(1, "succeed")),
              ElementsAre("2|recorded|∅|todo", "1|recorded|∅|succeeded"));
  EXPECT_THAT(payloads(), Contains(HasSubstr("job_inserted")));
  EXPECT_THAT(events(2), ElementsAre("deferred"));
  EXPECT_EQ(job(2), "todo|0|∅");
  EXPECT_THAT(claim(2), ElementsAre("2|t"));
}

TEST_F(AClaim, ThatIsToBeTriedAgainWaitsAgain) {
  defer();
  claim();
  EXPECT_THAT(finish(outcome(1, "retry", R"("retry_in": 0)")), ElementsAre("1|recorded|∅|todo"));
  EXPECT_THAT(events(1), ElementsAre("deferred", "started", "deferred_for_retry", "scheduled"));
  EXPECT_EQ(claimed_by(1), "{}");
  EXPECT_THAT(claim(2), ElementsAre("1|t"));
  EXPECT_EQ(job(1), "todo|1|∅");
}

TEST_F(AClaim, OfADeadWorkerCostsAnAttemptOnlyIfItRan) {
  for (int i = 0; i < 3; ++i) defer();
  claim(1, 3);
  EXPECT_THAT(rescue(1, outcome(1, "succeed"), "retry", "'{2}'"),
              ElementsAre("1|recorded|∅|succeeded", "3|recorded|∅|todo", "2|recorded|∅|todo"));
  EXPECT_EQ(job(2), "todo|1|∅");
  EXPECT_EQ(job(3), "todo|0|∅");
  EXPECT_THAT(attempts(2, "cause"), ElementsAre("worker_lost"));
  EXPECT_THAT(claim(2, 3), ElementsAre("2|t", "3|t"));
}

TEST_F(AClaim, OfAWorkerOfWhichNothingIsKnownCountsAsBegun) {
  defer();
  claim();
  EXPECT_THAT(rescue(1, "", "retry"), ElementsAre("1|recorded|∅|todo"));
  EXPECT_EQ(job(1), "todo|1|∅");
}

TEST_F(AClaim, EndsWithItsWorkersRowHoweverThatGoes) {
  defer();
  claim();
  app.rows("DELETE FROM procrastinate_workers WHERE id = 1");
  EXPECT_EQ(job(1), "doing|0|∅");
  EXPECT_EQ(app.value("SELECT job_id FROM postpone_stalled_jobs(0)"), "1");
  EXPECT_EQ(app.value("SELECT count(*) FROM postpone_claims"), "0");
}

TEST_F(AClaim, OfASilentWorkerIsThereForPeopleOnceTheyLookForIt) {
  defer();
  defer();
  claim(1, 2);
  app.rows("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 day' WHERE id = 1");
  EXPECT_EQ(app.value("SELECT disposition FROM postpone_finish_by_hand(1, 'failed', 60, false)"), "recorded");
  EXPECT_THAT(app.rows("SELECT procrastinate_prune_stalled_workers_v1(60)"), IsEmpty());
  EXPECT_EQ(job(2), "doing|0|1");
}

TEST_F(AClaim, IsCancelledAsAJobThatRuns) {
  defer();
  claim();
  app.rows("LISTEN " + std::string(kAnyQueue));
  EXPECT_EQ(app.value("SELECT procrastinate_cancel_job_v1(1, false, false)"), "∅");
  EXPECT_EQ(job(1), "doing|0|1");
  EXPECT_EQ(app.value("SELECT procrastinate_cancel_job_v1(1, true, false)"), "1");
  EXPECT_THAT(stop_requests(), SizeIs(1));
}

TEST_F(AClaim, WhoseRowIsChangedByHandIsToBeStopped) {
  for (int i = 0; i < 2; ++i) defer();
  claim(1, 2);
  app.rows("LISTEN " + std::string(kAnyQueue));
  app.rows("UPDATE procrastinate_jobs SET status = 'cancelled' WHERE id = 1");
  EXPECT_THAT(stop_requests(), ElementsAre(HasSubstr(": 1}")));
  app.rows("DELETE FROM procrastinate_jobs WHERE id = 2");
  EXPECT_THAT(stop_requests(), ElementsAre(HasSubstr(": 2}")));
  EXPECT_THAT(app.rows("SELECT job_id, is_held FROM postpone_jobs_to_stop('{1,1}', '{1,2}')"),
              ElementsAre("1|f", "2|f"));
  EXPECT_THAT(succeed("{1,2}", "{1,1}"), ElementsAre("1|gone|∅|cancelled", "2|gone|∅|∅"));
}

TEST_F(AClaim, ThatAWorkerHoldsIsNotToBeStopped) {
  defer();
  claim();
  EXPECT_THAT(app.rows("SELECT job_id FROM postpone_jobs_to_stop('{1}', '{1}')"), IsEmpty());
  EXPECT_THAT(app.rows("SELECT job_id FROM postpone_jobs_to_stop('{2}', '{1}')"), ElementsAre("1"));
}

TEST_F(AClaim, OfASilentWorkerIsRescuedWithAllOfItsLease) {
  defer();
  defer();
  claim(1, 2);
  app.rows("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 day' WHERE id = 1");
  app.rows("SELECT postpone_rescue_job(1, 'retry', 3, 60, 'silent')");
  EXPECT_EQ(app.value("SELECT count(*) FROM procrastinate_workers WHERE id = 1"), "0");
  EXPECT_THAT(fetch(2, 2), ElementsAre("1", "2"));
}

}  // namespace
}  // namespace postpone::tests
