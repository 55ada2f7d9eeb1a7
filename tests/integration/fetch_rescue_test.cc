// What becomes of the jobs of the dead, also when they finish or fetch at the same time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/fetch_fixture.h"
#include "tests/integration/session.h"

namespace postpone::tests {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(Queue, RescueDecidesEveryJobOfTheDead) {
  for (int i = 0; i < 4; ++i) defer();
  fetch(1, 3);
  fetch(2);
  EXPECT_THAT(rescue(1, outcome(2, "succeed") + "," + outcome(3, "release"), "retry"),
              ElementsAre("2|recorded|∅|succeeded", "3|recorded|∅|todo", "1|recorded|∅|todo"));
  EXPECT_THAT(attempts(1), ElementsAre("1|worker_lost|kitchen/1: signal 9|1|kitchen/1"));
  EXPECT_EQ(job(1), "todo|1|∅");
  EXPECT_EQ(job(3), "todo|0|∅");
  EXPECT_EQ(job(4), "doing|0|2");
  EXPECT_THAT(app.rows("SELECT id FROM procrastinate_workers"), ElementsAre("2"));
  EXPECT_THAT(rescue(1, outcome(2, "succeed"), "retry"), IsEmpty());
}

TEST_F(Queue, WhatWasNotRunningGoesBackAsItWas) {
  defer();
  defer();
  fetch(1, 2);
  EXPECT_THAT(rescue(1, "", "fail", "'{2}'"), ElementsAre("1|recorded|∅|todo", "2|recorded|∅|failed"));
  EXPECT_EQ(job(1), "todo|0|∅");
  EXPECT_THAT(attempts(2, "cause"), ElementsAre("worker_lost"));
}

TEST_F(Queue, ReportLeavesTheRunningToPeople) {
  defer();
  defer();
  fetch(1, 2);
  EXPECT_THAT(rescue(1, "", "report", "'{2}'"), ElementsAre("1|recorded|∅|todo", "2|reported|∅|doing"));
  EXPECT_EQ(job(2), "doing|0|∅");
  EXPECT_THAT(attempts(2), ElementsAre("1|worker_lost|kitchen/1: signal 9|∅|kitchen/1"));
}

TEST_F(Queue, AJobThatKillsItsWorkersIsPoison) {
  defer();
  for (int attempt = 1; attempt <= 4; ++attempt) {
    const std::string worker = app.value("SELECT postpone_register_worker('host:1', 'host', 'kitchen/1', 1)");
    ASSERT_THAT(fetch(std::stoi(worker)), ElementsAre("1"));
    EXPECT_THAT(rescue(std::stoi(worker), "", "retry"),
                ElementsAre(attempt < 4 ? "1|recorded|∅|todo" : "1|recorded|∅|failed"));
  }
  EXPECT_THAT(attempts(1, "cause"), ElementsAre("worker_lost", "worker_lost", "worker_lost", "poison"));
}

TEST_F(Queue, ARescuedJobGivesWayToAWaitingOne) {
  defer("queueing_lock => 'once'");
  fetch();
  defer("queueing_lock => 'once'");
  EXPECT_THAT(rescue(1, "", "retry"), ElementsAre("1|superseded|2|failed"));
}

TEST_F(Queue, RescueWaitsForAFetchInFlight) {
  defer();
  one.rows("BEGIN");
  ASSERT_THAT(one.rows(fetch_sql(1)), ElementsAre("1"));
  two.send("SELECT job_id, status FROM postpone_rescue_worker(1, '[]', 'retry', 3, 'gone')");
  wait_until_blocked(database, two);
  one.rows("COMMIT");
  EXPECT_THAT(two.receive(), ElementsAre("1|todo"));
  EXPECT_EQ(job(1), "todo|1|∅");
}

TEST_F(Queue, AFetchThatComesAfterTheRescueFails) {
  defer();
  two.rows("BEGIN");
  two.rows("SELECT * FROM postpone_rescue_worker(1, '[]', 'retry', 3, 'gone')");
  one.send(fetch_sql(1));
  wait_until_blocked(database, one);
  two.rows("COMMIT");
  try {
    one.receive();
    FAIL();
  } catch (const SqlError& error) {
    EXPECT_EQ(error.sqlstate, "23503");
  }
  EXPECT_EQ(job(1), "todo|0|∅");
}

TEST_F(Queue, AFinishThatComesAfterTheRescueChangesNothing) {
  defer();
  fetch();
  rescue(1, "", "retry");
  EXPECT_THAT(finish(outcome(1, "succeed")), ElementsAre("1|gone|∅|todo"))
      << "the rescue, and not this outcome, is what was recorded";
  EXPECT_EQ(job(1), "todo|1|∅");
}

// A zombie's transaction finishes, then fetches; the rescue comes in between. Nobody may be left to the
// deadlock detector.
TEST_F(Queue, RescueBetweenFinishAndFetchIsNoDeadlock) {
  defer();
  defer();
  fetch();
  one.rows("BEGIN");
  one.rows(finish_sql(1, outcome(1, "succeed")));
  two.send("SELECT job_id, status FROM postpone_rescue_worker(1, '[]', 'retry', 3, 'gone')");
  wait_until_blocked(database, two);
  EXPECT_THAT(one.rows(fetch_sql(1)), ElementsAre("2"));
  one.rows("COMMIT");
  EXPECT_THAT(two.receive(), ElementsAre("2|todo"));
  EXPECT_EQ(job(1, "status"), "succeeded");
}

TEST_F(Queue, HeartbeatTellsWhoIsLeft) {
  app.rows("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'");
  app.rows("SELECT procrastinate_register_worker_v1()");
  app.rows("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute' WHERE id = 3");
  EXPECT_THAT(app.rows("SELECT * FROM postpone_stalled_workers(30, false)"), ElementsAre("1", "2"));
  EXPECT_THAT(app.rows("SELECT * FROM postpone_stalled_workers(30, true)"), ElementsAre("1", "2", "3"));
  EXPECT_EQ(app.value("SELECT postpone_heartbeat('{1,77}')"), "{1}");
  EXPECT_THAT(app.rows("SELECT * FROM postpone_stalled_workers(30, false)"), ElementsAre("2"));
}

// Two that lock several leases each, in different orders, would wait for each other. (A heartbeat waits for
// no lock.)
TEST_F(Queue, LeasesAreLockedInTheOrderOfTheirIds) {
  app.rows("UPDATE procrastinate_workers SET last_heartbeat = 'epoch' WHERE id = 1");  // now behind 2
  app.rows("DELETE FROM postpone_workers");
  one.rows("BEGIN; SELECT FROM procrastinate_workers WHERE id = 1 FOR UPDATE");
  two.send("SELECT * FROM procrastinate_prune_stalled_workers_v1(-60)");
  wait_until_blocked(database, two);
  EXPECT_THAT(app.rows("SELECT id FROM procrastinate_workers FOR UPDATE SKIP LOCKED"), ElementsAre("2"));
  one.rows("COMMIT");
  two.receive();
}

}  // namespace
}  // namespace postpone::tests
