// Claims beside other sessions: who comes between, which rules of the application, which rights, which snapshots.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/claims_fixture.h"

namespace postpone::tests {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(AClaim, IsNotMadeWhereTheApplicationHasRulesOfItsOwn) {
  app.rows("CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'");
  app.rows("CREATE TRIGGER judge BEFORE UPDATE ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION judge()");
  defer();
  EXPECT_THAT(claim(), ElementsAre("1|f"));
  app.rows("DROP TRIGGER judge ON procrastinate_jobs");
  defer();
  EXPECT_THAT(claim(2), ElementsAre("2|t"));
  // And where such a rule comes between, it is asked before the end.
  app.rows("CREATE TRIGGER judge BEFORE UPDATE ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION judge()");
  EXPECT_THAT(succeed("{2}", "{1}", 2), ElementsAre("2|recorded|∅|succeeded"));
  EXPECT_THAT(events(2), ElementsAre("deferred", "started", "succeeded"));
}

TEST_F(AClaim, IsSeenByAFetchThatBeganBeforeIt) {
  defer();
  defer();
  one.rows("BEGIN");
  one.rows(claim_sql(1, 1));
  // Job 1 is locked: the other takes the next.
  EXPECT_THAT(two.rows(claim_sql(2, 1)), ElementsAre("2|t"));
  one.rows("COMMIT");
  EXPECT_THAT(two.rows(fetch_sql(2, 2)), IsEmpty());
}

TEST_F(AClaim, IsNotTakenByATransactionThatKeepsItsSnapshot) {
  defer();
  two.rows("BEGIN ISOLATION LEVEL REPEATABLE READ");
  two.rows("SELECT count(*) FROM procrastinate_jobs");
  claim();
  EXPECT_THAT(two.rows(fetch_sql(2, 2)), IsEmpty());
  EXPECT_EQ(two.value("SELECT id FROM procrastinate_fetch_job_v2(NULL, 2)"), "∅");
  two.rows("ROLLBACK");
}

TEST_F(AClaim, IsNotOverlookedWhenAnotherOneWasCommittedBeforeIt) {
  for (int i = 0; i < 4; ++i) defer();
  one.rows("BEGIN");
  one.rows(claim_sql(1, 2));
  claim(2, 2);
  two.rows("BEGIN ISOLATION LEVEL REPEATABLE READ");
  two.rows("SELECT count(*) FROM procrastinate_jobs");
  one.rows("COMMIT");
  EXPECT_EQ(two.value("SELECT id FROM procrastinate_fetch_job_v2(NULL, 2)"), "∅");
  two.rows("ROLLBACK");
}

TEST_F(AClaim, ThatHasEndedKeepsNoTransactionFromFetching) {
  defer();
  defer();
  claim();
  rescue(1, "", "fail");
  two.rows("BEGIN ISOLATION LEVEL REPEATABLE READ");
  EXPECT_EQ(two.value("SELECT id FROM procrastinate_fetch_job_v2(NULL, 2)"), "2");
  two.rows("COMMIT");
  EXPECT_EQ(job(2), "doing|0|2");
  EXPECT_EQ(app.value("SELECT count(*) FROM postpone_claims"), "0");
}

TEST_F(AClaim, MadeSinceTheSnapshotOfACancelMakesThatGoAgain) {
  defer();
  two.rows("BEGIN ISOLATION LEVEL REPEATABLE READ");
  two.rows("SELECT count(*) FROM procrastinate_jobs");
  claim();
  EXPECT_EQ(sqlstate_of(two, "SELECT procrastinate_cancel_job_v1(1, false, false)"), "40001");
  two.rows("ROLLBACK");
  EXPECT_EQ(job(1), "todo|0|∅");
}

TEST_F(AClaim, ThatMayNotStartAnyMoreEndsAllTheSame) {
  for (int i = 0; i < 3; ++i) defer();
  claim(1, 3);
  app.rows(
      "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'task is stopped'; END$$");
  app.rows(
      "CREATE TRIGGER stop BEFORE UPDATE ON procrastinate_jobs FOR EACH ROW"
      " WHEN (new.status = 'doing' AND old.id <> 3) EXECUTE FUNCTION stop()");
  settle(1, "NULL");
  EXPECT_EQ(job(1), "todo|0|∅");
  EXPECT_EQ(job(3), "doing|0|1");
  EXPECT_THAT(succeed("{1}", "{1}"), ElementsAre("1|recorded|∅|succeeded"));
  rescue(1, "", "retry", "'{2,3}'");
  EXPECT_EQ(app.value("SELECT count(*) FROM procrastinate_workers WHERE id = 1"), "0");
  EXPECT_EQ(app.value("SELECT count(*) FROM postpone_claims"), "0");
  EXPECT_EQ(job(3), "todo|1|∅");
}

TEST_F(AClaim, ThatCouldNotStartCostsItsDeadWorkersJobAnAttempt) {
  for (int i = 0; i < 3; ++i) defer();
  app.rows(
      "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'task is stopped'; END$$");
  const std::string stop =
      "CREATE TRIGGER stop BEFORE UPDATE ON procrastinate_jobs FOR EACH ROW"
      " WHEN (new.status = 'doing') EXECUTE FUNCTION stop()";
  claim();
  claim(2);
  app.rows(stop);
  EXPECT_EQ(sqlstate_of(app, "DELETE FROM procrastinate_workers WHERE id = 1"), "55006");
  EXPECT_THAT(rescue(1, "", "retry"), ElementsAre("1|recorded|∅|todo"));
  EXPECT_THAT(attempts(1, "cause"), ElementsAre("worker_lost"));
  EXPECT_THAT(rescue(2, "", "report", "'{2}'"), ElementsAre("2|recorded|∅|failed"));
  EXPECT_EQ(app.value("SELECT count(*) FROM postpone_claims"), "0");
}

TEST_F(AClaim, StaysWhereATriggerSwallowsTheStart) {
  defer();
  claim();
  app.rows("CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$");
  app.rows(
      "CREATE TRIGGER swallow BEFORE UPDATE ON procrastinate_jobs FOR EACH ROW"
      " WHEN (new.status = 'doing') EXECUTE FUNCTION swallow()");
  settle(1, "NULL");
  EXPECT_EQ(claimed_by(1), "{1}");
  app.rows("DROP TRIGGER swallow ON procrastinate_jobs");
  EXPECT_THAT(fetch(2), IsEmpty());
}

TEST_F(AClaim, ThatIsSettledWhileItIsGivenBackIsGivenBackAllTheSame) {
  defer();
  claim();
  one.rows("BEGIN");
  one.rows("SELECT procrastinate_cancel_job_v1(1, false, false)");
  two.send(finish_sql(1, outcome(1, "release")));
  wait_until_blocked(database, two);
  one.rows("COMMIT");
  EXPECT_THAT(two.receive(), ElementsAre("1|recorded|∅|todo"));
  EXPECT_THAT(fetch(2), ElementsAre("1"));
}

TEST_F(AClaim, IsNotOverlookedByTheEndOfItsLease) {
  defer();
  two.rows("BEGIN ISOLATION LEVEL REPEATABLE READ");
  two.rows("SELECT count(*) FROM procrastinate_jobs");
  claim();
  EXPECT_EQ(sqlstate_of(two, "DELETE FROM procrastinate_workers WHERE id = 1"), "25000");
  two.rows("ROLLBACK");
}

TEST_F(AClaim, WhoseWorkerWasLostInARestoreIsSweptWithTheNextHeartbeat) {
  defer();
  claim();
  app.rows(
      "SET session_replication_role = replica; DELETE FROM procrastinate_workers WHERE id = 1;"
      "RESET session_replication_role");
  EXPECT_THAT(fetch(2), IsEmpty());
  app.rows("SELECT postpone_store_heartbeats('{2}')");
  EXPECT_THAT(fetch(2), ElementsAre("1"));
}

TEST_F(AClaim, IsNotMadeBesideAnExclusionConstraint) {
  app.rows("CREATE EXTENSION btree_gist");
  app.rows(
      "ALTER TABLE procrastinate_jobs ADD EXCLUDE USING gist (task_name WITH =) WHERE (status = 'doing')");
  defer();
  EXPECT_THAT(claim(), ElementsAre("1|f"));
}

TEST_F(AClaim, ThatIsCancelledInALongTransactionHoldsUpNobodyElse) {
  defer();
  defer();
  claim(1, 2);
  two.rows("BEGIN");
  two.rows("SELECT procrastinate_cancel_job_v1(1, false, false)");
  EXPECT_THAT(app.rows("SELECT unnest(postpone_store_heartbeats('{1}'))"), ElementsAre("1"));
  EXPECT_THAT(succeed("{2}", "{1}"), IsEmpty());
  two.rows("COMMIT");
  EXPECT_EQ(job(1), "doing|0|1");
  EXPECT_THAT(succeed("{1}", "{1}"), IsEmpty());
}

TEST_F(AClaim, IsNotLostToALateSettlingOfTheSameWorker) {
  for (int i = 0; i < 4; ++i) defer();
  claim(1, 2);
  one.rows("BEGIN");
  one.rows(
      "SELECT FROM postpone_finish_successes(1, '{1,2}', '{1,1}', '{1,1}', '{1,1}', '{1,1}', false, false, "
      "false)");
  EXPECT_THAT(one.rows(claim_sql(1, 2)), ElementsAre("3|t", "4|t"));
  two.send("SELECT FROM postpone_settle_claims(1, '{1}')");
  wait_until_blocked(database, two);
  one.rows("COMMIT");
  two.receive();
  EXPECT_EQ(claimed_by(1), "{3,4}");
  EXPECT_EQ(job(1), "succeeded|1|∅");
  EXPECT_THAT(fetch(2, 2), IsEmpty());
}

TEST_F(AClaim, IsHandledByARoleThatKnowsNothingOfIt) {
  app.rows("DO $$ BEGIN CREATE ROLE claims_test_python; EXCEPTION WHEN duplicate_object THEN NULL; END $$");
  app.rows(
      "GRANT ALL ON procrastinate_jobs, procrastinate_events, procrastinate_workers, postpone_workers,"
      " postpone_attempts TO claims_test_python");
  app.rows("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO claims_test_python");
  for (int i = 0; i < 5; ++i) defer();
  claim(1, 3);
  one.rows("SET ROLE claims_test_python");
  EXPECT_EQ(one.value("SELECT id FROM procrastinate_fetch_job_v2(NULL, 2)"), "4");
  one.rows("BEGIN ISOLATION LEVEL REPEATABLE READ");
  EXPECT_EQ(one.value("SELECT id FROM procrastinate_fetch_job_v2(NULL, 2)"), "5");
  one.rows("COMMIT");
  EXPECT_EQ(one.value("SELECT procrastinate_cancel_job_v1(3, true, false)"), "3");
  one.rows("UPDATE procrastinate_jobs SET status = 'cancelled' WHERE id = 2");
  EXPECT_EQ(claimed_by(1), "{1}");
  one.rows("DELETE FROM procrastinate_jobs WHERE id = 1");
  EXPECT_EQ(claimed_by(1), "{}");
  one.rows("DELETE FROM procrastinate_workers WHERE id = 1");
  EXPECT_EQ(job(3, "status, worker_id"), "doing|∅");
}

TEST_F(AClaim, LeavesNothingUnderAnOldSnapshot) {
  defer();
  one.rows("BEGIN ISOLATION LEVEL REPEATABLE READ");
  one.rows("SELECT count(*) FROM procrastinate_jobs");
  for (int i = 0; i < 200; ++i) {
    claim();
    finish(outcome(1, "release"));
  }
  claim();
  EXPECT_EQ(claimed_by(1), "{1}");
  EXPECT_EQ(app.value("SELECT count(*) FROM postpone_claims"), "1");
  one.rows("ROLLBACK");
}

TEST_F(AClaim, TakesARoleThatMayRunJobs) {
  app.rows("DO $$ BEGIN CREATE ROLE claims_test_reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$");
  app.rows(
      "GRANT SELECT, UPDATE ON procrastinate_jobs, procrastinate_workers, postpone_workers TO "
      "claims_test_reader");
  defer();
  one.rows("SET ROLE claims_test_reader");
  EXPECT_THROW(one.rows(claim_sql(1, 1)), SqlError);
  EXPECT_EQ(claimed_by(1), "{}");
}

}  // namespace
}  // namespace postpone::tests
