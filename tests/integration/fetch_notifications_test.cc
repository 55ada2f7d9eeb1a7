// What is announced to those who listen, and what is not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/integration/fetch_fixture.h"
#include "tests/integration/session.h"

namespace postpone::tests {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class Notifications : public Queue {
 protected:
  void listen() { app.rows("LISTEN " + std::string(kAnyQueue)); }
  static std::string inserted(int id, const std::string& more = "") {
    return R"({"type":"job_inserted","job_id":)" + std::to_string(id) + R"(,"queue":"default","count":)" +
           (more.empty() ? "1" : more) + "}";
  }
};

TEST_F(Notifications, AFreedLockWakesTheNext) {
  struct Way {
    const char *name, *sql;
    // Ends a job of ours that still runs: whoever runs it is told as well.
    bool tells_runner = false;
  };
  for (const auto& [name, sql, tells_runner] :
       std::vector<Way>{{"finish", "SELECT procrastinate_finish_job_v1(1, 'succeeded', false)", true},
                        {"finish and delete", "SELECT procrastinate_finish_job_v1(1, 'failed', true)", true},
                        {"delete", "DELETE FROM procrastinate_jobs WHERE id = 1", true},
                        {"edit the lock", "UPDATE procrastinate_jobs SET lock = 'other' WHERE id = 1"},
                        {"unlock", "UPDATE procrastinate_jobs SET lock = NULL WHERE id = 1"},
                        {"our finish",
                         "SELECT FROM postpone_finish_jobs(1, '[{\"job_id\": 1, \"attempt\": 1, \"action\": "
                         "\"abort\"}]')"}}) {
    SCOPED_TRACE(name);
    app.rows("UNLISTEN *; DELETE FROM procrastinate_jobs; ALTER SEQUENCE procrastinate_jobs_id_seq RESTART");
    defer("lock => 'sink', queue => 'floors'");
    defer("lock => 'sink'");
    defer("lock => 'sink'");
    fetch();
    listen();
    app.rows(sql);
    const Values told = payloads();
    EXPECT_THAT(told, Contains(inserted(2, R"(1,"freed_lock":true)")));
    EXPECT_THAT(told, SizeIs(tells_runner ? 2 : 1));
  }
}

TEST_F(Notifications, ACancelledElderWakesTheNext) {
  defer("lock => 'sink', scheduled_at => now() + interval '1 day'");
  defer("lock => 'sink'");
  listen();
  app.rows("SELECT procrastinate_cancel_job_v1(1, false, false)");
  EXPECT_THAT(payloads(), ElementsAre(inserted(2, R"(1,"freed_lock":true)")));
}

TEST_F(Notifications, AWorkerThatDeletesTheJobItRanIsNotToldToStop) {
  defer("lock => 'sink'");
  defer("lock => 'sink'");
  fetch();
  listen();
  EXPECT_THAT(finish(outcome(1, "succeed", R"("delete_job": true)")), ElementsAre("1|recorded|∅|succeeded"));
  EXPECT_THAT(payloads(), ElementsAre(inserted(2, R"(1,"freed_lock":true)")));
  EXPECT_THAT(app.rows("SELECT id FROM procrastinate_jobs"), ElementsAre("2"));
  EXPECT_THAT(app.rows("SELECT FROM postpone_attempts"), IsEmpty());
  EXPECT_THAT(app.rows("SELECT FROM procrastinate_events WHERE job_id = 1"), IsEmpty());
}

TEST_F(Notifications, AnElderThatLosesItsRankWakesTheNext) {
  defer("lock => 'sink', priority => 5, queue => 'floors'");
  defer("lock => 'sink'");
  listen();
  app.rows("UPDATE procrastinate_jobs SET priority = -5 WHERE id = 1");
  EXPECT_THAT(payloads(), Contains(inserted(2, R"(1,"freed_lock":true)")));
}

TEST_F(Notifications, ASuccessorThatIsNotDueIsAnnouncedAsScheduled) {
  defer("lock => 'sink'");
  fetch();
  defer("lock => 'sink', scheduled_at => now() + interval '1 day'");
  listen();
  finish(outcome(1, "succeed"));
  EXPECT_THAT(payloads(), ElementsAre(inserted(2, R"(0,"scheduled":true,"freed_lock":true)")));
}

TEST_F(Notifications, ALockThatIsStillBusyWakesNobody) {
  defer("lock => 'sink'");
  defer("lock => 'sink'");
  defer("lock => 'sink'");
  fetch();
  listen();
  app.rows("SELECT procrastinate_cancel_job_v1(2, false, false)");
  EXPECT_THAT(payloads(), IsEmpty());
}

TEST_F(Notifications, StartingAndFinishingWithoutALockIsSilent) {
  defer();
  defer("lock => 'sink'");
  listen();
  fetch(1, 2);
  finish(outcome(1, "succeed") + "," + outcome(2, "succeed"));
  EXPECT_THAT(payloads(), IsEmpty());
}

TEST_F(Notifications, ARetryAnnouncesItself) {
  defer("lock => 'sink'");
  defer();
  fetch(1, 2);
  listen();
  finish(outcome(1, "retry") + "," + outcome(2, "retry", R"("retry_in": 60)"));
  EXPECT_THAT(payloads(), ElementsAre(inserted(1, R"(1,"scheduled":true,"freed_lock":true)")));
}

TEST_F(Notifications, AnEditThatLetsAJobRunAnnouncesIt) {
  defer("scheduled_at => now() + interval '1 day', queue => 'floors'");
  listen();
  app.rows("UPDATE procrastinate_jobs SET scheduled_at = NULL");
  EXPECT_THAT(payloads(), ElementsAre(HasSubstr(R"("queue":"floors","count":1})")));
  app.rows("UPDATE procrastinate_jobs SET queue_name = 'default'");
  EXPECT_THAT(payloads(), ElementsAre(inserted(1)));
  app.rows("UPDATE procrastinate_jobs SET args = '{\"a\": 1}'");
  EXPECT_THAT(payloads(), IsEmpty());
}

TEST_F(Notifications, APersonsRetryAnnouncesTheJob) {
  defer();
  fetch();
  finish(outcome(1, "fail"));
  listen();
  app.rows("SELECT * FROM postpone_retry_job(1)");
  EXPECT_THAT(payloads(), ElementsAre(inserted(1)));
}

TEST_F(Notifications, ManyJobsOfAStatementAreOneNotificationAQueue) {
  for (int i = 0; i < 30; ++i) defer(i % 3 == 0 ? "queue => 'floors'" : "");
  fetch(1, 30);
  listen();
  std::string outcomes;
  for (int id = 1; id <= 30; ++id) outcomes += (id == 1 ? "" : ",") + outcome(id, "release");
  finish(outcomes);
  EXPECT_THAT(payloads(),
              UnorderedElementsAre(inserted(2, "20"), HasSubstr(R"("queue":"floors","count":10})")));
}

TEST_F(Notifications, ADyingLeaseIsNoNewsForItsFinishedJobs) {
  defer();
  fetch();
  app.rows("SELECT procrastinate_finish_job_v1(1, 'succeeded', false)");
  const Values before = events(1);
  listen();
  app.rows("SELECT procrastinate_unregister_worker_v1(1)");
  EXPECT_EQ(job(1), "succeeded|1|∅");
  EXPECT_EQ(events(1), before);
  EXPECT_THAT(payloads(), IsEmpty());
}

TEST_F(Notifications, TheNextDueTimeIsKnown) {
  EXPECT_THAT(app.rows("SELECT * FROM postpone_next_due(NULL)"), IsEmpty());
  defer("scheduled_at => now() - interval '1 hour'");
  defer("scheduled_at => '2100-01-01 00:00:00+00', queue => 'b'");
  defer("scheduled_at => '2100-01-01 00:00:00+00', queue => 'a'");
  defer("scheduled_at => '2101-01-01 00:00:00+00', queue => 'c'");
  EXPECT_THAT(
      app.rows(
          "SELECT due_at = '2100-01-01 00:00:00+00', due_in > 0, queue_names FROM postpone_next_due(NULL)"),
      ElementsAre("t|t|{a,b}"));
  EXPECT_THAT(app.rows("SELECT queue_names FROM postpone_next_due('2100-01-01 00:00:00+00')"),
              ElementsAre("{c}"));
  EXPECT_THAT(app.rows("SELECT due_in < 0 FROM postpone_next_due('-infinity')"), ElementsAre("t"));
}

TEST_F(Notifications, AJobAtTheEndOfTimeIsNeverDue) {
  listen();
  defer("scheduled_at => 'infinity'");
  EXPECT_THAT(payloads(), ElementsAre(inserted(1, R"(0,"scheduled":true)")));
  EXPECT_THAT(events(1), ElementsAre("deferred", "scheduled"));
  EXPECT_THAT(app.rows("SELECT * FROM postpone_next_due(NULL)"), IsEmpty());
  EXPECT_THAT(app.rows("SELECT * FROM postpone_next_due('infinity')"), IsEmpty());
  defer("scheduled_at => '2100-01-01 00:00:00+00'");
  EXPECT_THAT(app.rows("SELECT due_in = 24 * 86400 FROM postpone_next_due(NULL)"), ElementsAre("t"));
  EXPECT_THAT(fetch(1, 10), IsEmpty());
  defer("scheduled_at => '-infinity'");
  EXPECT_THAT(fetch(1, 10), ElementsAre("3"));
}

// Our own statements tell what they change themselves; the trigger must not tell it again, nor nobody.
TEST_F(Notifications, WhatATriggerOfTheApplicationMakesOfAFinishIsTold) {
  app.rows(
      "CREATE FUNCTION app_rule() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.status = 'failed' THEN "
      "NEW.status := 'todo'; NEW.worker_id := NULL; END IF; IF NEW.status = 'succeeded' THEN NEW.lock := "
      "NULL; "
      "END IF; RETURN NEW; END $$;"
      "CREATE TRIGGER app_rule BEFORE UPDATE ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION app_rule()");
  defer("lock => 'sink'");
  defer("lock => 'sink'");
  fetch();
  listen();
  finish(outcome(1, "fail"));
  EXPECT_THAT(events(1), ElementsAre("deferred", "started", "deferred_for_retry"));
  EXPECT_THAT(payloads(), Contains(HasSubstr("\"job_id\":1,")));
  fetch();
  finish(outcome(1, "succeed", "", 2));
  EXPECT_THAT(payloads(), Contains(inserted(2, R"(1,"freed_lock":true)")));
}

TEST_F(Notifications, WhatATriggerOfTheApplicationEndsBesidesIsToldOnce) {
  defer("lock => 'a'");
  defer("lock => 'b'");
  fetch(1, 2);
  app.rows(
      "CREATE FUNCTION app_rule() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 1 AND NEW.status "
      "= "
      "'succeeded' THEN PERFORM postpone_finish_jobs(1, '[{\"job_id\": 2, \"attempt\": 1, \"action\": "
      "\"succeed\"}]'); UPDATE procrastinate_jobs SET status = 'cancelled' WHERE id = 3; END IF; RETURN "
      "NULL; "
      "END $$;"
      "CREATE TRIGGER app_rule AFTER UPDATE ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION app_rule()");
  defer();
  finish(outcome(1, "succeed"));
  EXPECT_THAT(events(1), ElementsAre("deferred", "started", "succeeded"));
  EXPECT_THAT(events(2), ElementsAre("deferred", "started", "succeeded"));
  EXPECT_THAT(events(3), ElementsAre("deferred", "cancelled")) << "a statement of the trigger's own";
}

}  // namespace
}  // namespace postpone::tests
