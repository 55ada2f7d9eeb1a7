// Jobs that cannot run yet and stand in front: a fetch does not walk past them, and none is forgotten.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/fetch_fixture.h"

namespace postpone::tests {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Crowd : public Queue {
 protected:
  // So many jobs that come before others.
  void crowd(int count, const std::string& columns, const std::string& values) {
    app.rows("INSERT INTO procrastinate_jobs (task_name, priority, " + columns + ") SELECT 't', 9, " +
             values + " FROM generate_series(1, " + std::to_string(count) + ") AS i");
  }
  std::string parked(const std::string& as) {
    return app.value("SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo' AND parked = '" + as +
                     "'");
  }
  // Rows and entries of indexes that a fetch of one job reads.
  long read_by_a_fetch(const std::string& queues = "NULL", const std::string& start = "") {
    const char* counted =
        "SELECT pg_stat_get_xact_tuples_returned('procrastinate_jobs'::regclass) + (SELECT sum("
        "pg_stat_get_xact_tuples_returned(indexrelid)) FROM pg_index WHERE indrelid = "
        "'procrastinate_jobs'::regclass)";
    // The server removes what is dead in its own time; here, now.
    app.rows("VACUUM procrastinate_jobs");
    app.rows("BEGIN");
    const long before = std::stol(app.value(counted));
    EXPECT_THAT(app.rows("SELECT id FROM postpone_fetch_jobs(" + queues + ", 1, 1" + start + ")"), SizeIs(1));
    const long read = std::stol(app.value(counted)) - before;
    app.rows("ROLLBACK");
    return read;
  }
};

TEST_F(Crowd, ThatIsScheduledForTomorrowIsNotWalkedThrough) {
  crowd(3000, "queue_name, scheduled_at", "'default', now() + interval '1 day'");
  defer();
  EXPECT_EQ(parked("time"), "3000");
  EXPECT_LT(read_by_a_fetch(), 100);
}

TEST_F(Crowd, OfAnotherQueueIsNotWalkedThrough) {
  crowd(3000, "queue_name", "'other'");
  defer();
  EXPECT_LT(read_by_a_fetch("'{default}'"), 100);
  EXPECT_LT(read_by_a_fetch("'{default,third}'"), 100);
}

// Both indexes look alike to a planner that has seen one queue only.
TEST_F(Crowd, OfAnotherQueueIsNotWalkedThroughWhileTheStatisticsKnowOneQueue) {
  app.rows("SELECT count(postpone_defer('t')) FROM generate_series(1, 3000)");
  app.rows("ANALYZE procrastinate_jobs");
  app.rows("DELETE FROM procrastinate_jobs WHERE id > 10");
  crowd(3000, "queue_name", "'other'");
  EXPECT_LT(read_by_a_fetch("'{default}'"), 100);
  EXPECT_LT(read_by_a_fetch("'{default}'", ", start_priority => 0, start_id => 5"), 100);
  EXPECT_LT(read_by_a_fetch("'{default,third}'"), 100);
}

TEST_F(Crowd, BehindTheStartOfAFetchIsNotWalkedThroughForWhatHasAHigherPriority) {
  app.rows("SELECT count(postpone_defer('t')) FROM generate_series(1, 3000)");
  EXPECT_LT(read_by_a_fetch("'{default}'", ", start_priority => 0, start_id => 5"), 100);
  EXPECT_LT(read_by_a_fetch("NULL", ", start_priority => 0, start_id => 5"), 100);
}

TEST_F(Crowd, BehindALockIsWalkedThroughOnce) {
  crowd(3000, "queue_name, lock", "'default', 'sink'");
  app.rows("SELECT postpone_defer('wash') FROM generate_series(1, 10)");
  EXPECT_THAT(fetch(1, 1), ElementsAre("1"));
  EXPECT_THAT(fetch(1, 1), ElementsAre("3001"));
  EXPECT_EQ(parked("lock"), "2999");
  EXPECT_THAT(fetch(2, 3), ElementsAre("3002", "3003", "3004"));
  EXPECT_LT(read_by_a_fetch(), 100);
  EXPECT_LT(read_by_a_fetch("'{default}'"), 100);
}

TEST_F(Crowd, BehindAJobForTomorrowIsWalkedThroughOnce) {
  defer("lock => 'sink', priority => 10, scheduled_at => now() + interval '1 day'");
  crowd(1500, "queue_name, lock", "'default', 'sink'");
  app.rows("SELECT postpone_defer('wash') FROM generate_series(1, 10)");
  fetch();
  fetch();
  EXPECT_EQ(parked("lock"), "1500");
  EXPECT_LT(read_by_a_fetch(), 100);
  app.rows("SELECT procrastinate_cancel_job_v1(1, false, false)");
  EXPECT_THAT(fetch(), ElementsAre("2"));
}

TEST_F(Crowd, OfAFewIsLeftWhereItStands) {
  crowd(20, "queue_name, lock", "'default', 'sink'");
  app.rows("SELECT postpone_defer('wash') FROM generate_series(1, 10)");
  fetch(1, 5);
  fetch(1, 5);
  EXPECT_EQ(parked("lock"), "0");
}

// Parked behind job 1, which runs: 2 to 200.
class ACrowdIsParked : public Crowd {
 protected:
  ACrowdIsParked() {
    crowd(200, "queue_name, lock", "'default', 'sink'");
    fetch();
    fetch();
    EXPECT_EQ(parked("lock"), "199");
    app.rows("LISTEN " + std::string(kAnyQueue));
    payloads();
  }
};

TEST_F(ACrowdIsParked, AndItsFirstRunsWhenTheLockIsFree) {
  for (int id = 1; id <= 5; ++id) {
    finish(outcome(id, "succeed"));
    EXPECT_THAT(payloads(), Contains(HasSubstr("\"job_id\":" + std::to_string(id + 1))));
    EXPECT_THAT(fetch(), ElementsAre(std::to_string(id + 1)));
  }
}

TEST_F(ACrowdIsParked, AndItsFirstRunsWhateverFreesTheLock) {
  app.rows("SELECT procrastinate_finish_job_v1(1, 'failed', false)");
  EXPECT_THAT(fetch(), ElementsAre("2"));
  app.rows("SELECT procrastinate_finish_job_v1(2, 'failed', true)");
  EXPECT_THAT(fetch(), ElementsAre("3"));
  app.rows("DELETE FROM procrastinate_jobs WHERE id = 3");
  EXPECT_THAT(fetch(), ElementsAre("4"));
  app.rows("UPDATE procrastinate_jobs SET lock = NULL WHERE id = 4");
  EXPECT_THAT(fetch(), ElementsAre("5"));
  finish(outcome(5, "retry", "\"retry_in\": 3600, \"new_priority\": -1"));
  EXPECT_THAT(fetch(), ElementsAre("6"));
  EXPECT_THAT(rescue(1, "", "fail"), Contains(HasSubstr("6|")));
  EXPECT_THAT(fetch(2), ElementsAre("7"));
}

TEST_F(ACrowdIsParked, AndAFetchInTheSameTransactionFindsItsFirst) {
  app.rows("BEGIN");
  finish(outcome(1, "succeed"));
  EXPECT_THAT(fetch(), ElementsAre("2"));
  app.rows("COMMIT");
}

TEST_F(ACrowdIsParked, AndOneThatIsMadeTheFirstByHandRunsFirst) {
  app.rows("UPDATE procrastinate_jobs SET priority = 20 WHERE id = 77");
  finish(outcome(1, "succeed"));
  EXPECT_THAT(fetch(), ElementsAre("77"));
  finish(outcome(77, "succeed"));
  EXPECT_THAT(fetch(), ElementsAre("2"));
}

TEST_F(ACrowdIsParked, AndOneThatGetsAnotherLockRuns) {
  app.rows("UPDATE procrastinate_jobs SET lock = 'other' WHERE id = 77");
  EXPECT_THAT(fetch(), ElementsAre("77"));
}

TEST_F(ACrowdIsParked, AndOneThatIsCancelledAndRetriedIsFound) {
  app.rows("SELECT procrastinate_cancel_job_v1(2, false, false); SELECT postpone_retry_job(2)");
  finish(outcome(1, "succeed"));
  EXPECT_THAT(fetch(), ElementsAre("2"));
}

// A session has the row in its hands at that moment, and changes nothing.
TEST_F(ACrowdIsParked, AndItsFirstIsFoundLaterWhereItsRowWasLocked) {
  two.rows("BEGIN");
  two.rows("SELECT FROM procrastinate_jobs WHERE id = 2 FOR UPDATE");
  finish(outcome(1, "succeed"));
  payloads();
  EXPECT_THAT(fetch(), IsEmpty());
  EXPECT_THAT(fetch(), IsEmpty());
  EXPECT_THAT(payloads(), IsEmpty()) << "a lock that stays out of reach wakes nobody";
  two.rows("ROLLBACK");
  EXPECT_THAT(fetch(), ElementsAre("2"));
  EXPECT_EQ(app.value("SELECT count(*) FROM postpone_noted_locks"), "0");
}

TEST_F(ACrowdIsParked, AndAHeartbeatFindsItsFirst) {
  two.rows("BEGIN");
  two.rows("SELECT FROM procrastinate_jobs WHERE id = 2 FOR UPDATE");
  finish(outcome(1, "succeed"));
  two.rows("ROLLBACK");
  app.rows("SELECT postpone_store_heartbeats('{1,2}')");
  EXPECT_EQ(job(2, "parked"), "∅");
}

// Its snapshot is older than the parking: it does not see that jobs are parked.
TEST_F(Crowd, AnOldSnapshotThatFreesALockLeavesNobodyBehind) {
  crowd(200, "queue_name, lock", "'default', 'sink'");
  fetch();
  one.rows("BEGIN ISOLATION LEVEL REPEATABLE READ");
  one.rows("SELECT count(*) FROM procrastinate_jobs");
  fetch();
  EXPECT_EQ(parked("lock"), "199");
  one.rows("SELECT procrastinate_finish_job_v1(1, 'succeeded', false)");
  one.rows("COMMIT");
  EXPECT_THAT(fetch(), ElementsAre("2"));
}

// Each of them ends one of two jobs in front, and sees that of the other still there.
TEST_F(ACrowdIsParked, AndTwoWhoFreeItsLockAtOnceLeaveNobodyBehind) {
  defer("lock => 'sink', priority => 10");
  one.rows("BEGIN");
  one.rows("SELECT procrastinate_cancel_job_v1(201, false, false)");
  finish(outcome(1, "succeed"));
  EXPECT_THAT(fetch(), IsEmpty());
  EXPECT_THAT(fetch(), IsEmpty());
  one.rows("COMMIT");
  EXPECT_THAT(fetch(), ElementsAre("2"));
}

// Two sessions see each other's work only after the commit: one parks while another ends the job in front.
TEST_F(Crowd, NobodyIsParkedBehindALockThatIsBecomingFree) {
  crowd(200, "queue_name, lock", "'default', 'sink'");
  fetch();
  one.rows("BEGIN");
  one.rows(finish_sql(1, outcome(1, "succeed")));
  fetch();
  EXPECT_EQ(parked("lock"), "0");
  one.rows("COMMIT");
  EXPECT_THAT(fetch(), ElementsAre("2"));
}

TEST_F(Crowd, ThatIsScheduledRunsWhenItsTimeHasCome) {
  crowd(5, "queue_name, scheduled_at", "'default', now() + interval '1 hour'");
  EXPECT_THAT(fetch(), IsEmpty());
  app.rows("LISTEN " + std::string(kAnyQueue));
  app.rows(
      "BEGIN; SET LOCAL session_replication_role = replica;"
      "UPDATE procrastinate_jobs SET scheduled_at = now() WHERE id <= 3; COMMIT");
  EXPECT_THAT(fetch(), ElementsAre("1"));
  EXPECT_THAT(payloads(), Contains(HasSubstr("\"count\":2"))) << "others skip them until the commit";
  EXPECT_THAT(fetch(2, 5), ElementsAre("2", "3"));
  EXPECT_THAT(fetch(), IsEmpty());
  app.rows("UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE id = 4");
  EXPECT_THAT(fetch(), ElementsAre("4"));
  EXPECT_THAT(app.rows("SELECT id FROM procrastinate_fetch_job_v2(NULL, 2)"), ElementsAre("∅"));
  EXPECT_EQ(app.value("SELECT queue_names FROM postpone_next_due(NULL)"), "{default}");
}

TEST_F(Crowd, OfRetriesForLaterIsParkedByAFetch) {
  app.rows("SELECT postpone_defer('wash') FROM generate_series(1, 100)");
  fetch(1, 100);
  for (int id = 1; id <= 100; ++id) finish(outcome(id, "retry", "\"retry_in\": 3600"));
  defer();
  fetch();
  EXPECT_EQ(parked("time"), "100");
}

TEST_F(Crowd, NeverHoldsItsOwnParkingAgainstAnInsert) {
  app.rows(
      "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, parked) VALUES ('default', 't', 'l', "
      "'lock')");
  EXPECT_THAT(fetch(), ElementsAre("1"));
}

// The job in front could be run; while it is being parked behind, another fetch skips it, and is woken again.
TEST_F(Crowd, TheFirstIsAnnouncedWhereItWasInTheWay) {
  app.rows("SELECT postpone_defer('wash', lock => 'sink', priority => 9) FROM generate_series(1, 1500)");
  app.rows("SELECT postpone_defer('wash')");
  app.rows("LISTEN " + std::string(kAnyQueue));
  payloads();
  EXPECT_THAT(app.rows("SELECT id FROM postpone_fetch_jobs(NULL, 1, 1, passed_over => '{1}')"),
              ElementsAre("1501"));
  EXPECT_EQ(parked("lock"), "1499");
  EXPECT_THAT(payloads(), Contains(HasSubstr("\"job_id\":1,")));
  EXPECT_THAT(fetch(), ElementsAre("1"));
}

TEST_F(Crowd, OfAnotherQueueThatBecomesDueIsAnnounced) {
  app.rows("SELECT postpone_defer('wash', queue => 'b', scheduled_at => now() + interval '1 hour')");
  app.rows("UPDATE procrastinate_jobs SET scheduled_at = now()");
  app.rows("LISTEN " + std::string(kAnyQueue));
  EXPECT_THAT(fetch(1, 1, "'{a}'"), IsEmpty());
  EXPECT_THAT(payloads(), Contains(HasSubstr("\"queue\":\"b\"")));
}

TEST_F(Crowd, OneThatATriggerRefusesToChangeKeepsNoOtherQueueWaiting) {
  app.rows("SELECT postpone_defer('wash', queue => 'frozen', scheduled_at => now() + interval '1 hour')");
  app.rows("SELECT postpone_defer('wash', queue => 'a') FROM generate_series(1, 2)");
  app.rows("UPDATE procrastinate_jobs SET scheduled_at = now() WHERE id = 1");
  app.rows(
      "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
      " IF NEW.queue_name = 'frozen' THEN RAISE 'frozen'; END IF; RETURN NEW; END $$;"
      "CREATE TRIGGER refuse BEFORE UPDATE ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION refuse()");
  EXPECT_THAT(app.rows("SELECT id FROM procrastinate_fetch_job_v2('{a}', 2)"), ElementsAre("2"));
  EXPECT_THAT(fetch(1, 1, "'{a}'"), ElementsAre("3"));
  EXPECT_THROW(fetch(1, 1, "'{frozen}'"), SqlError);
  EXPECT_THAT(app.rows("SELECT id, refused_because FROM postpone_fetch_around('{frozen}', 1, '{}')"),
              ElementsAre(HasSubstr("1|frozen")));
}

}  // namespace
}  // namespace postpone::tests
