// Which job a fetch takes, in SQL.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/fetch_fixture.h"
#include "tests/integration/session.h"

namespace postpone::tests {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(Queue, PriorityThenAgeDecides) {
  defer();
  defer("priority => 5");
  defer("priority => 5");
  defer("priority => -1");
  EXPECT_THAT(fetch(1, 10), ElementsAre("2", "3", "1", "4"));
  EXPECT_EQ(job(1), "doing|0|1");
}

TEST_F(Queue, NoNumberOfJobsMeansOne) {
  defer();
  defer();
  EXPECT_THAT(app.rows("SELECT id, more FROM postpone_fetch_jobs(NULL, 1, NULL)"), ElementsAre("1|t"));
}

TEST_F(Queue, WhatIsPassedOverIsNotMore) {
  for (int i = 0; i < 3; ++i) defer();
  EXPECT_THAT(app.rows("SELECT id, more FROM postpone_fetch_jobs(NULL, 1, 1, '{1}')"), ElementsAre("2|t"));
  EXPECT_THAT(app.rows("SELECT id, more FROM postpone_fetch_jobs(NULL, 1, 1, '{1}')"), ElementsAre("3|f"));
  app.value("SELECT postpone_defer('dry')");
  defer();
  EXPECT_THAT(app.rows("SELECT id, more FROM postpone_fetch_jobs(NULL, 1, 1, '{1}', '{dry}')"),
              ElementsAre("5|f"));
}

// Neither a missing privilege nor a missing object is the fault of the row that was tried first.
TEST_F(Queue, AFetchAroundRowsRefusesNoneForWhatConcernsAllOfThem) {
  defer();
  app.rows("ALTER TABLE procrastinate_events RENAME TO elsewhere");
  EXPECT_THROW(app.rows("SELECT id FROM postpone_fetch_around(NULL, 1, NULL)"), SqlError);
  app.rows("ALTER TABLE elsewhere RENAME TO procrastinate_events");
  EXPECT_THAT(app.rows("SELECT id, refused_because FROM postpone_fetch_around(NULL, 1, NULL)"),
              ElementsAre("1|∅"));
}

TEST_F(Queue, AFetchAroundRowsComesBackAfterFiftyRefusals) {
  app.rows(
      "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END';"
      "CREATE TRIGGER refuse BEFORE UPDATE ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION refuse();"
      "SELECT postpone_defer('task' || i) FROM generate_series(1, 60) AS i");
  EXPECT_EQ(app.value("SELECT count(refused_because) FROM postpone_fetch_around(NULL, 1, NULL)"), "50");
}

TEST_F(Queue, NullsAreRefusedInWords) {
  for (const std::string call :
       {"postpone_defer(NULL)", "postpone_defer('wash', queue => NULL)",
        "postpone_register_worker('s', 'h', NULL, 1)", "postpone_fetch_jobs(NULL, NULL, 1)",
        "postpone_fetch_around(NULL, NULL, NULL)"}) {
    try {
      app.rows("SELECT " + call);
      ADD_FAILURE() << call;
    } catch (const SqlError& error) {
      EXPECT_EQ(error.sqlstate, "22004") << call;
    }
  }
  defer();
  EXPECT_THAT(fetch(1, -1), IsEmpty());
}

TEST_F(Queue, OnlyNamedQueuesAreServed) {
  defer("queue => 'dishes'");
  defer("queue => 'floors'");
  defer("queue => 'windows'");
  EXPECT_THAT(fetch(1, 10, "'{floors,windows}'"), ElementsAre("2", "3"));
  EXPECT_THAT(fetch(1, 10, "'{}'"), ElementsAre("1"));
}

TEST_F(Queue, AJobWaitsForItsTime) {
  defer("scheduled_at => now() + interval '1 hour'");
  defer("scheduled_at => now() - interval '1 hour'");
  EXPECT_THAT(fetch(1, 10), ElementsAre("2"));
}

TEST_F(Queue, OfALockOnlyTheFirstAndOnlyAlone) {
  defer("lock => 'sink'");
  defer("lock => 'sink', priority => 3");
  defer("lock => 'tap'");
  EXPECT_THAT(fetch(1, 10), ElementsAre("2", "3"));
  EXPECT_THAT(fetch(2, 10), IsEmpty());
  finish(outcome(2, "succeed"));
  EXPECT_THAT(fetch(2, 10), ElementsAre("1"));
}

TEST_F(Queue, AnElderOfAnotherQueueOrTimeHoldsTheLock) {
  defer("lock => 'sink', queue => 'floors'");
  defer("lock => 'tap', scheduled_at => now() + interval '1 hour'");
  defer("lock => 'sink'");
  defer("lock => 'tap'");
  EXPECT_THAT(fetch(1, 10, "'{default}'"), IsEmpty());
  app.rows(
      "SELECT procrastinate_cancel_job_v1(1, false, false), procrastinate_cancel_job_v1(2, false, true)");
  EXPECT_THAT(fetch(1, 10, "'{default}'"), ElementsAre("3", "4"));
}

TEST_F(Queue, MoreTellsOfJobsThatAreLeft) {
  defer("lock => 'sink'");
  defer("lock => 'sink'");
  const auto more = [&](int jobs) {
    return app.value("SELECT bool_or(more) FROM postpone_fetch_jobs(NULL, 1, " + std::to_string(jobs) + ")");
  };
  EXPECT_EQ(more(1), "f");  // the other one waits for the lock
  defer();
  defer();
  EXPECT_EQ(more(1), "t");
  EXPECT_EQ(more(10), "f");
}

TEST_F(Queue, AWorkerWithoutALeaseFetchesNothing) {
  defer();
  try {
    fetch(99);
    FAIL();
  } catch (const SqlError& error) {
    EXPECT_EQ(error.sqlstate, "23503");
  }
  EXPECT_EQ(job(1), "todo|0|∅");
  EXPECT_EQ(app.value("SELECT id FROM procrastinate_fetch_job_v2(NULL, 2)"), "1");
}

}  // namespace
}  // namespace postpone::tests
