// Jobs whose worker is gone or silent: who finds them, what a rescue and a person make of them, and what
// happens when several decide at once. In SQL, on real sessions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <string>
#include <vector>

#include "tests/integration/session.h"
#include "tests/support/database.h"

namespace postpone::tests {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Workers 1 and 2 are ours, 3 is Python's. Silence is half a minute.
class Stalled : public ::testing::Test {
 protected:
  Stalled() {
    app.rows(
        "SELECT postpone_register_worker('host:1', 'host', 'kitchen/' || n, 4711) FROM generate_series(1, 2) "
        "n");
    app.rows("SELECT procrastinate_register_worker_v1()");
  }

  std::string defer(const std::string& arguments = "") {
    return app.value("SELECT postpone_defer('wash'" + (arguments.empty() ? "" : ", " + arguments) + ")");
  }
  Values fetch(int worker) {
    return app.rows("SELECT id FROM postpone_fetch_jobs(NULL, " + std::to_string(worker) + ", 1)");
  }
  void silence(int worker) {
    app.rows("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute' WHERE id = " +
             std::to_string(worker));
  }
  static std::string succeed_sql(int worker, int job, const std::string& more = "") {
    return "SELECT job_id, disposition, status FROM postpone_finish_jobs(" + std::to_string(worker) +
           R"(, '[{"action": "succeed", "attempt": 1, "job_id": )" + std::to_string(job) + more + "}]')";
  }
  static std::string rescue_worker_sql(int worker, const std::string& action,
                                       const std::string& silent_for = "30") {
    return "SELECT job_id, disposition, status FROM postpone_rescue_worker(" + std::to_string(worker) +
           ", '[]', '" + action + "', 3, 'it died', NULL, " + silent_for + ")";
  }
  static std::string rescue_sql(int job, const std::string& action = "retry") {
    return "SELECT job_id, disposition, by_job_id, status FROM postpone_rescue_job(" + std::to_string(job) +
           ", '" + action + "', 3, 30, 'rescued by hand')";
  }
  static std::string finish_sql(int job, const std::string& status = "failed", bool force = false) {
    return "SELECT job_id, disposition, status FROM postpone_finish_by_hand(" + std::to_string(job) + ", '" +
           status + "', 30, " + (force ? "true" : "false") + ")";
  }
  Values stalled(const std::string& columns = "job_id, worker_id, worker_name, is_foreign, is_reported") {
    return app.rows("SELECT " + columns + " FROM postpone_stalled_jobs(30)");
  }
  std::string job(int id, const std::string& columns = "status, attempts, worker_id") {
    return app.value("SELECT " + columns + " FROM procrastinate_jobs WHERE id = " + std::to_string(id));
  }
  Values attempts(int id, const std::string& columns = "attempt, cause, message, worker_id, worker_name") {
    return app.rows("SELECT " + columns + " FROM postpone_attempts WHERE job_id = " + std::to_string(id) +
                    " ORDER BY attempt");
  }
  Values payloads() {
    Values texts;
    for (const Note& note : app.notes())
      if (note.channel == "procrastinate_any_queue_v1") texts.push_back(note.payload);
    return texts;
  }

  const TestDatabase database;
  Session app{database};
  Session one{database};
  Session two{database};
};

// --- who is stalled ---

TEST_F(Stalled, AreTheJobsOfTheSilentAndOfTheGone) {
  for (int i = 0; i < 5; ++i) defer();
  for (int worker : {1, 2, 3, 1}) fetch(worker);
  silence(1);
  silence(3);
  EXPECT_THAT(stalled(), ElementsAre("1|1|kitchen/1|f|f", "3|3|∅|t|f", "4|1|kitchen/1|f|f"));
  EXPECT_THAT(stalled("host, supervisor, last_heartbeat < now(), started_at IS NOT NULL"),
              ElementsAre("host|host:1|t|t", "∅|∅|t|t", "host|host:1|t|t"));
  app.rows("DELETE FROM procrastinate_workers WHERE id = 3");
  EXPECT_THAT(stalled(), Contains("3|∅|∅|t|f")) << "nobody knows who ran it";
  app.rows("SELECT * FROM " + std::string("postpone_rescue_worker(1, '[]', 'report', 3, 'it died')"));
  EXPECT_THAT(stalled(), ElementsAre("1|∅|kitchen/1|f|t", "3|∅|∅|t|f", "4|∅|kitchen/1|f|t"));
}

TEST_F(Stalled, TheLivingAndTheEndedAreNotAmongThem) {
  for (int i = 0; i < 3; ++i) defer();
  fetch(1);
  fetch(2);
  fetch(3);
  app.rows(succeed_sql(2, 2));
  app.rows("SELECT procrastinate_finish_job_v1(3, 'succeeded', false)");
  silence(3);
  EXPECT_THAT(stalled(), IsEmpty());
}

// The housekeeper asks every two seconds, with a plan that it made when the tables were empty. Two hundred
// thousand ended jobs point to a Python worker; none of them is to be looked at.
TEST_F(Stalled, AreFoundWithoutALookAtEveryJob) {
  const std::string ask = "SELECT job_id FROM postpone_stalled_jobs(30)";
  EXPECT_THAT(one.rows(ask), IsEmpty());
  // Not by ALTER TABLE, which would have every plan made anew.
  app.rows(
      "SET session_replication_role = replica; "
      "INSERT INTO procrastinate_jobs (queue_name, task_name, status, worker_id) "
      "SELECT 'q', 't', CASE n % 3 WHEN 0 THEN 'todo' ELSE 'succeeded' END::procrastinate_job_status, "
      "       CASE n % 3 WHEN 0 THEN NULL ELSE 3 END FROM generate_series(1, 300000) n; "
      "INSERT INTO procrastinate_events (job_id, type) SELECT id, 'started' FROM procrastinate_jobs; "
      "INSERT INTO postpone_attempts (job_id, attempt, cause) SELECT id, 1, 'worker_lost' FROM "
      "procrastinate_jobs; "
      "UPDATE procrastinate_jobs SET status = 'doing' WHERE id IN (2, 3, 4); "
      "SET session_replication_role = origin");
  silence(3);
  one.rows("BEGIN");
  EXPECT_THAT(one.rows(ask), ElementsAre("2", "3", "4"));
  const std::string rows_read = one.value(
      "SELECT sum(coalesce(idx_tup_fetch, 0) + coalesce(seq_tup_read, 0)) FROM pg_stat_xact_user_tables");
  EXPECT_LT(std::stoi(rows_read), 50);
  one.rows("COMMIT");
}

// --- rescue ---

TEST_F(Stalled, WhoWokeUpInTimeIsNotRescued) {
  defer();
  fetch(1);
  EXPECT_THAT(app.rows(rescue_worker_sql(1, "retry")), IsEmpty());
  EXPECT_EQ(job(1), "doing|0|1");
  silence(1);
  EXPECT_THAT(app.rows(rescue_worker_sql(1, "retry")), ElementsAre("1|recorded|todo"));
}

// The rescuer found it silent, and its heartbeat comes in between.
TEST_F(Stalled, AHeartbeatThatIsFasterThanTheRescueCounts) {
  defer();
  fetch(1);
  silence(1);
  one.rows("BEGIN; SELECT postpone_heartbeat('{1}')");
  two.send(rescue_worker_sql(1, "retry"));
  wait_until_blocked(database, two);
  one.rows("COMMIT");
  EXPECT_THAT(two.receive(), IsEmpty());
  EXPECT_EQ(job(1), "doing|0|1");
}

TEST_F(Stalled, ARescuedJobTakesAllOfItsWorkerAlong) {
  defer();
  defer();
  fetch(1);
  fetch(1);
  EXPECT_THAT(app.rows(rescue_sql(1)), ElementsAre("1|still_running|∅|doing"));
  silence(1);
  EXPECT_THAT(app.rows(rescue_sql(1)), ElementsAre("1|recorded|∅|todo", "2|recorded|∅|todo"));
  EXPECT_EQ(app.value("SELECT count(*) FROM procrastinate_workers WHERE id = 1"), "0") << "should it wake up";
  EXPECT_THAT(app.rows(rescue_sql(1)), ElementsAre("1|gone|∅|todo"));
  EXPECT_THAT(app.rows(rescue_sql(99)), IsEmpty());
}

TEST_F(Stalled, AForeignWorkerKeepsItsRow) {
  defer();
  fetch(3);
  silence(3);
  EXPECT_THAT(app.rows(rescue_sql(1)), ElementsAre("1|recorded|∅|todo"));
  EXPECT_EQ(job(1), "todo|1|∅");
  EXPECT_THAT(attempts(1), ElementsAre("1|worker_lost|rescued by hand|3|∅"));
  EXPECT_EQ(app.value("SELECT count(*) FROM procrastinate_workers WHERE id = 3"), "1");
}

TEST_F(Stalled, AJobWhoseWorkerIsGoneIsRescuedAtOnce) {
  defer("lock => 'l'");
  fetch(3);
  app.rows("DELETE FROM procrastinate_workers WHERE id = 3");
  EXPECT_THAT(app.rows(rescue_sql(1, "fail")), ElementsAre("1|recorded|∅|failed"));
  EXPECT_THAT(attempts(1, "attempt, cause"), ElementsAre("1|worker_lost"));
}

TEST_F(Stalled, ARescuedJobGivesWayToAWaitingOneOfItsQueueingLock) {
  defer("queueing_lock => 'once'");
  fetch(3);
  defer("queueing_lock => 'once'");
  silence(3);
  EXPECT_THAT(app.rows(rescue_sql(1)), ElementsAre("1|superseded|2|failed"));
}

TEST_F(Stalled, ARescueByRuleEndsAtMaxStalledAndOneByHandDoesNot) {
  defer();
  for (int attempt = 1; attempt <= 3; ++attempt) {
    fetch(3);
    silence(3);
    EXPECT_THAT(app.rows(rescue_sql(1)), ElementsAre("1|recorded|∅|todo"));
    app.rows("UPDATE procrastinate_workers SET last_heartbeat = now() WHERE id = 3");
  }
  fetch(3);
  silence(3);
  app.rows("BEGIN");
  EXPECT_THAT(app.rows("SELECT status FROM postpone_rescue_job(1, 'retry', NULL, 30, 'by hand')"),
              ElementsAre("todo"));
  app.rows("ROLLBACK");
  EXPECT_THAT(app.rows(rescue_sql(1)), ElementsAre("1|recorded|∅|failed"));
  EXPECT_THAT(attempts(1, "cause"), ElementsAre("worker_lost", "worker_lost", "worker_lost", "poison"));
}

TEST_F(Stalled, WhatWasReportedKeepsItsStoryWhenAPersonDecides) {
  defer();
  defer();
  fetch(1);
  fetch(1);
  app.rows(rescue_worker_sql(1, "report", "NULL"));
  EXPECT_THAT(app.rows(rescue_sql(1)), ElementsAre("1|recorded|∅|todo"));
  EXPECT_THAT(attempts(1), ElementsAre("1|worker_lost|it died; rescued by hand|∅|kitchen/1"));
  EXPECT_THAT(app.rows(finish_sql(2)), ElementsAre("2|recorded|failed"));
  EXPECT_THAT(attempts(2), ElementsAre("1|finished_by_hand|it died; finished by hand as failed|∅|kitchen/1"));
  EXPECT_EQ(job(1), "todo|1|∅");
  EXPECT_EQ(job(2), "failed|1|∅");
}

// A person lets it run again, and the next worker that dies is Python's: nobody has reported that.
TEST_F(Stalled, AReportIsOfOneAttempt) {
  defer();
  fetch(1);
  app.rows(rescue_worker_sql(1, "report", "NULL"));
  app.rows(rescue_sql(1));
  fetch(3);
  app.rows("DELETE FROM procrastinate_workers WHERE id = 3");
  EXPECT_THAT(stalled(), ElementsAre("1|∅|∅|t|f"));
}

// --- finishing by hand ---

TEST_F(Stalled, AJobIsFinishedByHandOnlyWhenNobodyRunsIt) {
  defer("lock => 'l'");
  fetch(1);
  EXPECT_THAT(app.rows(finish_sql(1)), ElementsAre("1|still_running|doing"));
  silence(1);
  EXPECT_THAT(app.rows(finish_sql(1, "succeeded")), ElementsAre("1|recorded|succeeded"));
  EXPECT_EQ(job(1), "succeeded|1|∅");
  EXPECT_THAT(attempts(1), ElementsAre("1|finished_by_hand|finished by hand as succeeded|∅|kitchen/1"));
  EXPECT_THAT(app.rows(finish_sql(1)), ElementsAre("1|gone|succeeded"));
  EXPECT_THAT(app.rows(finish_sql(99)), IsEmpty());
  try {
    app.rows(finish_sql(1, "cancelled"));
    FAIL();
  } catch (const SqlError& error) {
    EXPECT_THAT(error.message, HasSubstr("succeeded or failed, not as cancelled"));
  }
}

TEST_F(Stalled, FinishingByHandFreesTheLockAndWakesTheNext) {
  defer("lock => 'l'");
  defer("lock => 'l'");
  fetch(3);
  app.rows("DELETE FROM procrastinate_workers WHERE id = 3");
  EXPECT_THAT(fetch(2), IsEmpty());
  app.rows("LISTEN procrastinate_any_queue_v1");
  app.rows(finish_sql(1));
  EXPECT_THAT(
      payloads(),
      ElementsAre(R"({"type":"job_inserted","job_id":2,"queue":"default","count":1,"freed_lock":true})"));
  EXPECT_THAT(fetch(2), ElementsAre("2"));
  EXPECT_THAT(app.rows("SELECT type FROM procrastinate_events WHERE job_id = 1 ORDER BY id"),
              Contains("failed"));
}

TEST_F(Stalled, ForceTellsTheLivingWorkerToStopAndItsOutcomeIsGone) {
  defer("lock => 'l'");
  fetch(1);
  app.rows("LISTEN procrastinate_any_queue_v1");
  EXPECT_THAT(app.rows(finish_sql(1, "failed", true)), ElementsAre("1|recorded|failed"));
  EXPECT_THAT(payloads(), ElementsAre(R"({"type" : "abort_job_requested", "job_id" : 1})"));
  EXPECT_THAT(attempts(1, "message"),
              ElementsAre("finished by hand as failed, while its worker showed signs of life"));
  EXPECT_THAT(app.rows(succeed_sql(1, 1, R"(, "delete_job": true)")), ElementsAre("1|gone|failed"));
  EXPECT_EQ(job(1), "failed|1|∅");
}

// Its outcome says "delete the job", which somebody else has ended as failed since.
TEST_F(Stalled, AZombieDeletesNothing) {
  defer();
  fetch(1);
  app.rows(rescue_worker_sql(1, "fail", "NULL"));
  app.rows(succeed_sql(1, 1, R"(, "delete_job": true)"));
  EXPECT_EQ(job(1), "failed|1|∅");
}

// --- several at once ---

TEST_F(Stalled, ARescueIsFasterThanFinishingByHand) {
  defer();
  fetch(1);
  silence(1);
  one.rows("BEGIN");
  EXPECT_THAT(one.rows(rescue_worker_sql(1, "retry")), ElementsAre("1|recorded|todo"));
  two.send(finish_sql(1));
  wait_until_blocked(database, two);
  one.rows("COMMIT");
  EXPECT_THAT(two.receive(), ElementsAre("1|gone|todo"));
  EXPECT_EQ(job(1), "todo|1|∅");
}

TEST_F(Stalled, FinishingByHandIsFasterThanARescue) {
  defer();
  fetch(1);
  silence(1);
  one.rows("BEGIN");
  EXPECT_THAT(one.rows(finish_sql(1)), ElementsAre("1|recorded|failed"));
  two.send(rescue_worker_sql(1, "retry"));
  wait_until_blocked(database, two);
  one.rows("COMMIT");
  EXPECT_THAT(two.receive(), IsEmpty());
  EXPECT_EQ(job(1), "failed|1|∅");
  EXPECT_THAT(attempts(1, "cause"), ElementsAre("finished_by_hand"));
}

TEST_F(Stalled, AReportedJobIsStillFinishedByHand) {
  defer();
  fetch(1);
  silence(1);
  one.rows("BEGIN");
  EXPECT_THAT(one.rows(rescue_worker_sql(1, "report")), ElementsAre("1|reported|doing"));
  two.send(finish_sql(1));
  wait_until_blocked(database, two);
  one.rows("COMMIT");
  EXPECT_THAT(two.receive(), ElementsAre("1|recorded|failed"));
  EXPECT_THAT(attempts(1, "cause"), ElementsAre("finished_by_hand"));
}

// The worker was only slow: what it says of its job counts, and whoever came to decide it finds nothing to
// do.
TEST_F(Stalled, TheWorkersOwnFinishIsFasterThanARescue) {
  for (const std::string& statement : {rescue_sql(1), finish_sql(1)}) {
    defer();
    fetch(1);
    silence(1);
    const std::string id = app.value("SELECT max(id) FROM procrastinate_jobs");
    const int number = std::stoi(id);
    one.rows("BEGIN");
    EXPECT_THAT(one.rows(succeed_sql(1, number)), ElementsAre(id + "|recorded|succeeded"));
    two.send(statement == rescue_sql(1) ? rescue_sql(number) : finish_sql(number));
    wait_until_blocked(database, two);
    one.rows("COMMIT");
    EXPECT_THAT(two.receive(), ElementsAre(AnyOf(id + "|gone|∅|succeeded", id + "|gone|succeeded")));
    EXPECT_THAT(attempts(number, "cause"), ElementsAre("succeeded"));
    app.rows(
        "INSERT INTO procrastinate_workers (id) OVERRIDING SYSTEM VALUE VALUES (1) ON CONFLICT DO NOTHING");
    app.rows(
        "INSERT INTO postpone_workers VALUES (1, 'host:1', 'host', 'kitchen/1', 4711) ON CONFLICT DO "
        "NOTHING");
  }
}

// Everybody at once, again and again: each job is decided once, and nobody is left to the deadlock detector.
TEST_F(Stalled, EverybodyAtOnceDecidesEachJobOnceWithoutADeadlock) {
  constexpr int kRounds = 40;
  for (int round = 0; round < kRounds; ++round) {
    const std::string worker = app.value("SELECT postpone_register_worker('host:1', 'host', 'kitchen/1', 1)");
    const int lease = std::stoi(worker);
    const int first = std::stoi(defer());
    const int second = std::stoi(defer());
    ASSERT_THAT(fetch(lease), ElementsAre(std::to_string(first)));
    ASSERT_THAT(fetch(lease), ElementsAre(std::to_string(second)));
    silence(lease);
    Session three(database);
    std::vector<std::future<Values>> runs;
    const auto start = [&runs](Session& session, const std::string& sql) {
      runs.push_back(std::async(std::launch::async, [&session, sql] { return session.rows(sql); }));
    };
    start(one, finish_sql(first));
    start(two, rescue_sql(second, "fail"));
    start(three, succeed_sql(lease, first));
    start(app, rescue_worker_sql(lease, "fail"));
    for (auto& run : runs) EXPECT_NO_THROW(run.get());
    EXPECT_THAT(app.rows("SELECT status FROM procrastinate_jobs WHERE id IN (" + std::to_string(first) + "," +
                         std::to_string(second) + ")"),
                Each(Not("doing")));
    EXPECT_EQ(attempts(first).size(), 1U);
    EXPECT_EQ(attempts(second).size(), 1U);
    EXPECT_EQ(job(first, "attempts"), "1");
  }
}

}  // namespace
}  // namespace postpone::tests
