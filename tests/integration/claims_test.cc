// Claims: plain jobs that a worker takes without a write to their rows. All is SQL, on real sessions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/fetch_fixture.h"
#include "tests/integration/session.h"

namespace postpone::tests {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class AClaim : public Queue {
 protected:
  static std::string claim_sql(int worker, int max_jobs, const std::string& more = "") {
    return "SELECT id, is_claimed FROM postpone_fetch_jobs(NULL, " + std::to_string(worker) + ", " +
           std::to_string(max_jobs) + ", may_claim => true" + more + ")";
  }
  Values claim(int worker = 1, int max_jobs = 1, const std::string& more = "") {
    return app.rows(claim_sql(worker, max_jobs, more));
  }
  std::string claimed_by(int worker) {
    return app.value("SELECT postpone_claims_of(" + std::to_string(worker) + ")");
  }
  Values succeed(const std::string& ids, const std::string& attempts, int worker = 1,
                 const std::string& deletes = "false") {
    return app.rows("SELECT job_id, disposition, by_job_id, status FROM postpone_finish_successes(" +
                    std::to_string(worker) + ", '" + ids + "', '" + attempts +
                    "', '{1.5,2,3}', '{0.5,1,1}', '{4096,1,1}', " + deletes + ", false, false)");
  }
  void settle(int worker, const std::string& ids) {
    app.rows("SELECT FROM postpone_settle_claims(" + std::to_string(worker) + ", " + ids + ")");
  }
  static std::string sqlstate_of(Session& session, const std::string& sql) {
    try {
      session.rows(sql);
    } catch (const SqlError& error) {
      return error.sqlstate;
    }
    return "";
  }
  // What asks a worker of ours to stop this job.
  Values stop_requests() {
    Values all;
    for (const std::string& payload : payloads())
      if (payload.find("abort_job_requested") != std::string::npos) all.push_back(payload);
    return all;
  }
};

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

TEST_F(AClaim, OfASilentWorkerIsRescuedWithAllOfItsLease) {
  defer();
  defer();
  claim(1, 2);
  app.rows("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 day' WHERE id = 1");
  app.rows("SELECT postpone_rescue_job(1, 'retry', 3, 60, 'silent')");
  EXPECT_EQ(app.value("SELECT count(*) FROM procrastinate_workers WHERE id = 1"), "0");
  EXPECT_THAT(fetch(2, 2), ElementsAre("1", "2"));
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
