// What a finish leaves, and what a job has deferred with it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/fetch_fixture.h"
#include "tests/integration/session.h"

namespace postpone::tests {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// --- finish ---

TEST_F(Queue, OutcomesAreRecordedInTheirOrder) {
  for (int i = 0; i < 5; ++i) defer();
  fetch(1, 5);
  EXPECT_THAT(finish(outcome(5, "succeed") + "," + outcome(3, "abort") + "," +
                     outcome(1, "fail",
                             R"("cause": "signalled", "signal": 11, "message": "signal 11", "run_time": 1.5,
                             "cpu_time": 0.5, "max_rss": 4096, "stderr_tail": "oh", "exit_status": null)")),
              ElementsAre("5|recorded|∅|succeeded", "3|recorded|∅|aborted", "1|recorded|∅|failed"));
  EXPECT_EQ(job(5), "succeeded|1|∅");
  EXPECT_THAT(attempts(5), ElementsAre("1|succeeded|∅|1|kitchen/1"));
  EXPECT_THAT(attempts(1, "cause, signal, message, run_time, cpu_time, max_rss, stderr_tail, exit_status"),
              ElementsAre("signalled|11|signal 11|1.5|0.5|4096|oh|∅"));
  EXPECT_THAT(events(3), ElementsAre("deferred", "started", "aborted"));
  EXPECT_EQ(job(2), "doing|0|1");
}

TEST_F(Queue, ALostAnswerIsAskedForAgain) {
  defer();
  defer();
  fetch(1, 2);
  finish(outcome(1, "succeed"));
  EXPECT_THAT(finish(outcome(1, "succeed") + "," + outcome(2, "succeed")),
              ElementsAre("1|already_recorded|∅|succeeded", "2|recorded|∅|succeeded"));
  EXPECT_THAT(attempts(1), SizeIs(1));
  EXPECT_EQ(job(1, "attempts"), "1");
}

TEST_F(Queue, WhatIsNotOursIsGone) {
  defer();
  fetch(2);
  const std::string nothing = "1|gone|∅|doing";
  EXPECT_THAT(finish(outcome(1, "succeed")), ElementsAre(nothing));            // another worker's
  EXPECT_THAT(finish(outcome(1, "succeed", "", 2), 2), ElementsAre(nothing));  // another attempt's
  EXPECT_THAT(finish(outcome(77, "succeed"), 2), ElementsAre("77|gone|∅|∅"));
  EXPECT_EQ(job(1), "doing|0|2");
  rescue(2, "", "report");
  EXPECT_THAT(finish(outcome(1, "succeed"), 2), ElementsAre(nothing));  // the dead worker's
  EXPECT_EQ(job(1), "doing|0|∅");
  EXPECT_THROW(app.rows("SELECT * FROM postpone_finish_jobs(NULL, '[]')"), SqlError);
}

TEST_F(Queue, ReleaseLeavesNoTrace) {
  defer("scheduled_at => '2020-01-01 00:00:00+00'");
  fetch();
  EXPECT_THAT(finish(outcome(1, "release")), ElementsAre("1|recorded|∅|todo"));
  EXPECT_EQ(job(1, "status, attempts, worker_id, scheduled_at = '2020-01-01 00:00:00+00'"), "todo|0|∅|t");
  EXPECT_THAT(attempts(1), IsEmpty());
  EXPECT_THAT(finish(outcome(1, "release")), ElementsAre("1|gone|∅|todo"));
}

TEST_F(Queue, RetryChangesWhatItIsAskedTo) {
  defer();
  fetch();
  finish(outcome(
      1, "retry",
      R"("retry_in": 3600, "new_priority": 4, "new_queue": "late", "new_lock": "sink", "cause": "exception",
                 "exception_type": "std::runtime_error", "message": "no water")"));
  EXPECT_EQ(
      job(1,
          "status, attempts, priority, queue_name, lock, scheduled_at - now() BETWEEN interval '50 min' AND "
          "interval '1 hour'"),
      "todo|1|4|late|sink|t");
  EXPECT_THAT(attempts(1), ElementsAre("1|exception|no water|1|kitchen/1"));
}

TEST_F(Queue, RetryWithoutWaitRunsAtOnce) {
  defer();
  fetch();
  EXPECT_THAT(
      app.rows("WITH finished AS (" + finish_sql(1, outcome(1, "retry")) + ") SELECT status FROM finished"),
      ElementsAre("todo"));
  EXPECT_THAT(fetch(2), ElementsAre("1"));
}

TEST_F(Queue, WhoIsToStopDoesNotWaitAgain) {
  defer();
  defer();
  fetch(1, 2);
  app.rows("SELECT procrastinate_cancel_job_v1(id, true, false) FROM procrastinate_jobs");
  EXPECT_THAT(
      finish(outcome(1, "retry",
                     R"("retry_in": 60, "new_priority": 4, "new_queue": "late", "new_lock": "sink")") +
             "," + outcome(2, "release")),
      ElementsAre("1|recorded|∅|failed", "2|recorded|∅|cancelled"));
  EXPECT_EQ(job(1, "attempts, abort_requested, scheduled_at, priority, queue_name, lock"),
            "1|f|∅|0|default|∅");
  EXPECT_EQ(job(2, "attempts, abort_requested"), "0|f");
}

TEST_F(Queue, DeletesWhatIsNotToBeKept) {
  defer();
  defer();
  fetch(1, 2);
  EXPECT_THAT(finish(outcome(1, "succeed", R"("delete_job": true)") + "," +
                     outcome(2, "retry", R"("delete_job": true)")),
              ElementsAre("1|recorded|∅|succeeded", "2|recorded|∅|todo"));
  EXPECT_THAT(app.rows("SELECT id FROM procrastinate_jobs"), ElementsAre("2"));
  EXPECT_THAT(finish(outcome(1, "succeed", R"("delete_job": true)")), ElementsAre("1|gone|∅|∅"));
}

TEST_F(Queue, ATriggerOfTheApplicationSeesTheEndOfAJobThatIsDeletedThen) {
  app.rows("CREATE TABLE seen (status text)");
  app.rows(
      "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "INSERT INTO seen VALUES (NEW.status); RETURN NULL; END $$");
  app.rows("CREATE TRIGGER see AFTER UPDATE ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION see()");
  defer();
  fetch(1, 1);
  EXPECT_THAT(finish(outcome(1, "succeed", R"("delete_job": true, "omit_attempt": true)")),
              ElementsAre("1|recorded|∅|succeeded"));
  EXPECT_THAT(app.rows("SELECT status FROM seen"), ElementsAre("doing", "succeeded"));
  EXPECT_THAT(app.rows("SELECT FROM procrastinate_jobs"), IsEmpty());
}

TEST_F(Queue, KeepsNoMoreThanIsWanted) {
  defer();
  defer();
  app.rows("SELECT FROM postpone_fetch_jobs(NULL, 1, 2, omit_events => true)");
  const std::string little = R"("omit_events": true, "omit_attempt": true)";
  EXPECT_THAT(finish(outcome(1, "succeed", little) + "," + outcome(2, "fail", little)),
              ElementsAre("1|recorded|∅|succeeded", "2|recorded|∅|failed"));
  EXPECT_THAT(app.rows("SELECT type FROM procrastinate_events"), ElementsAre("deferred", "deferred"));
  EXPECT_THAT(app.rows("SELECT job_id FROM postpone_attempts"), ElementsAre("2"));
  // The answer was lost, and it comes again.
  EXPECT_THAT(finish(outcome(1, "succeed", little)), ElementsAre("1|already_recorded|∅|succeeded"));
}

TEST_F(Queue, AnUnknownWordChangesNothing) {
  defer();
  fetch();
  EXPECT_THROW(finish(outcome(1, "explode")), SqlError);
  EXPECT_THROW(finish(outcome(1, "fail", R"("cause": "boredom")")), SqlError);
  EXPECT_EQ(job(1), "doing|0|1");
}

// --- deferred by a job ---

TEST_F(Queue, FollowersComeWithTheSuccess) {
  defer();
  fetch();
  defer("queueing_lock => 'once'");
  EXPECT_THAT(finish(outcome(1, "succeed", R"("defers": [
                {"task": "mail", "args": {"to": "ann"}, "queue": "mail", "priority": 2, "lock": "l", "delay": 60},
                {"task": "sweep", "queueing_lock": "once"}, {"task": "dry"}])")),
              ElementsAre("1|recorded|∅|succeeded"));
  EXPECT_THAT(
      app.rows(
          "SELECT task_name, args, queue_name, priority, lock, scheduled_at > now() FROM procrastinate_jobs "
          "WHERE id > 2 ORDER BY task_name"),
      ElementsAre("dry|{}|default|0|∅|∅", "mail|{\"to\": \"ann\"}|mail|2|l|t"));
}

TEST_F(Queue, FollowersComeOnceAndOnlyWithSuccess) {
  defer();
  defer();
  fetch(1, 2);
  const std::string followers = R"("defers": [{"task": "dry"}])";
  finish(outcome(1, "succeed", followers) + "," + outcome(2, "fail", followers));
  EXPECT_THAT(finish(outcome(1, "succeed", followers)), ElementsAre("1|already_recorded|∅|succeeded"));
  EXPECT_EQ(app.value("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'dry'"), "1");
}

TEST_F(Queue, FollowersThatCannotBeStoredMakeItFail) {
  defer();
  fetch();
  EXPECT_THAT(
      finish(outcome(1, "succeed",
                     "\"defers\": [{\"task\": \"dry\", \"queue\": \"" + std::string(200, 'q') + "\"}]")),
      ElementsAre("1|recorded|∅|failed"));
  EXPECT_THAT(attempts(1, "cause, message"),
              ElementsAre(HasSubstr("exception|the jobs it deferred were refused: value too")));
}

}  // namespace
}  // namespace postpone::tests
