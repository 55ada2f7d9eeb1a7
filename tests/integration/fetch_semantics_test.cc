// Which job a fetch takes, what a finish leaves, and what happens when several sessions do so at once. In
// SQL, on real sessions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <map>
#include <string>
#include <vector>

#include "tests/integration/session.h"
#include "tests/support/database.h"

namespace postpone::tests {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr const char* kAnyQueue = "procrastinate_any_queue_v1";

// An application and two workers, 1 and 2, in sessions of their own.
class Queue : public ::testing::Test {
 protected:
  Queue() {
    for (int worker = 1; worker <= 2; ++worker) {
      app.rows("SELECT postpone_register_worker('host:1', 'host', 'kitchen/' || $1, 4711)",
               {untyped(std::to_string(worker))});
    }
  }

  // Arguments of postpone_defer after the task, in SQL.
  std::string defer(const std::string& arguments = "") {
    return app.value("SELECT postpone_defer('wash'" + (arguments.empty() ? "" : ", " + arguments) + ")");
  }
  static std::string fetch_sql(int worker, int max_jobs = 1, const std::string& queues = "NULL") {
    return "SELECT id FROM postpone_fetch_jobs(" + queues + ", " + std::to_string(worker) + ", " +
           std::to_string(max_jobs) + ")";
  }
  Values fetch(int worker = 1, int max_jobs = 1, const std::string& queues = "NULL") {
    return app.rows(fetch_sql(worker, max_jobs, queues));
  }
  static std::string finish_sql(int worker, const std::string& outcomes) {
    return "SELECT job_id, disposition, by_job_id, status FROM postpone_finish_jobs(" +
           std::to_string(worker) + ", '[" + outcomes + "]')";
  }
  Values finish(const std::string& outcomes, int worker = 1) {
    return app.rows(finish_sql(worker, outcomes));
  }
  static std::string outcome(int job, const std::string& action, const std::string& more = "",
                             int attempt = 1) {
    return "{\"job_id\": " + std::to_string(job) + ", \"attempt\": " + std::to_string(attempt) +
           ", \"action\": \"" + action + "\"" + (more.empty() ? "" : ", " + more) + "}";
  }
  Values rescue(int worker, const std::string& outcomes, const std::string& action,
                const std::string& running = "NULL") {
    return app.rows("SELECT job_id, disposition, by_job_id, status FROM postpone_rescue_worker(" +
                    std::to_string(worker) + ", '[" + outcomes + "]', '" + action +
                    "', 3, 'kitchen/1: signal 9', " + running + ")");
  }
  std::string job(int id, const std::string& columns = "status, attempts, worker_id") {
    return app.value("SELECT " + columns + " FROM procrastinate_jobs WHERE id = " + std::to_string(id));
  }
  Values events(int id) {
    return app.rows("SELECT type FROM procrastinate_events WHERE job_id = " + std::to_string(id) +
                    " ORDER BY id");
  }
  Values attempts(int id, const std::string& columns = "attempt, cause, message, worker_id, worker_name") {
    return app.rows("SELECT " + columns + " FROM postpone_attempts WHERE job_id = " + std::to_string(id) +
                    " ORDER BY attempt");
  }
  // Payloads on the any-queue channel since the last call.
  Values payloads() {
    Values texts;
    for (const Note& note : app.notes()) {
      if (note.channel == kAnyQueue) texts.push_back(note.payload);
    }
    return texts;
  }

  const TestDatabase database;
  Session app{database};
  Session one{database};
  Session two{database};
};

// --- which job is taken ---

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

// --- queueing locks ---

TEST_F(Queue, RetryGivesWayToAWaitingJob) {
  defer("queueing_lock => 'once'");
  fetch();
  defer("queueing_lock => 'once'");
  EXPECT_THAT(finish(outcome(1, "retry", R"("message": "no water", "cause": "exception")")),
              ElementsAre("1|superseded|2|failed"));
  EXPECT_EQ(job(1), "failed|1|∅");
  EXPECT_THAT(attempts(1, "cause, message, superseded_by"),
              ElementsAre("superseded|superseded by job 2: no water|2"));
  EXPECT_THAT(events(1), ElementsAre("deferred", "started", "failed"));
}

TEST_F(Queue, ReleaseGivesWayToAWaitingJob) {
  defer("queueing_lock => 'once'");
  fetch();
  defer("queueing_lock => 'once'");
  EXPECT_THAT(finish(outcome(1, "release")), ElementsAre("1|superseded|2|failed"));
  EXPECT_THAT(attempts(1, "cause, message"), ElementsAre("superseded|superseded by job 2"));
}

TEST_F(Queue, OfTwoRetriesThatCollideTheFirstWaits) {
  defer("queueing_lock => 'once'");
  fetch();
  defer("queueing_lock => 'once'");
  fetch();
  defer();
  fetch();
  EXPECT_THAT(finish(outcome(1, "retry") + "," + outcome(3, "succeed") + "," + outcome(2, "retry")),
              ElementsAre("1|recorded|∅|todo", "3|recorded|∅|succeeded", "2|superseded|1|failed"));
}

TEST_F(Queue, ARetryThatCollidesWithAnUncommittedJobWaitsForIt) {
  for (const char* end : {"COMMIT", "ROLLBACK"}) {
    SCOPED_TRACE(end);
    app.rows("DELETE FROM procrastinate_jobs; ALTER SEQUENCE procrastinate_jobs_id_seq RESTART");
    defer("queueing_lock => 'once'");
    fetch();
    two.rows("BEGIN");
    two.rows("SELECT postpone_defer('wash', queueing_lock => 'once')");
    one.send(finish_sql(1, outcome(1, "retry")));
    wait_until_blocked(database, one);
    two.rows(end);
    EXPECT_THAT(one.receive(),
                ElementsAre(std::string(end) == "COMMIT" ? "1|superseded|2|failed" : "1|recorded|∅|todo"));
  }
}

TEST_F(Queue, ADeferThatMeetsAnUncommittedRetryIsRefused) {
  defer("queueing_lock => 'once'");
  fetch();
  one.rows("BEGIN");
  one.rows(finish_sql(1, outcome(1, "retry")));
  two.send("SELECT postpone_defer('wash', queueing_lock => 'once')");
  wait_until_blocked(database, two);
  one.rows("COMMIT");
  try {
    two.receive();
    FAIL();
  } catch (const SqlError& error) {
    EXPECT_EQ(error.constraint, "procrastinate_jobs_queueing_lock_idx_v1");
  }
}

TEST_F(Queue, PeopleAreToldWhyAJobCannotRunAgain) {
  defer("queueing_lock => 'once'");
  fetch();
  finish(outcome(1, "fail"));
  defer("queueing_lock => 'once'");
  const std::string retry = "SELECT * FROM postpone_retry_job(1)";
  EXPECT_EQ(app.value(retry), "1|superseded|2|failed");
  EXPECT_THAT(attempts(1, "cause"), ElementsAre("exception"));
  fetch();
  EXPECT_EQ(app.value(retry), "1|recorded|∅|todo");
  EXPECT_THROW(app.value("SELECT * FROM postpone_retry_job(1)"), SqlError);
  app.rows("SELECT procrastinate_cancel_job_v1(1, false, false)");
  EXPECT_EQ(app.value("SELECT disposition, status FROM postpone_retry_job(1, new_priority => 7)"),
            "recorded|todo");
  EXPECT_EQ(job(1, "priority, attempts"), "7|2");
}

// --- several at once ---

TEST_F(Queue, FetchersDoNotWaitForEachOther) {
  defer();
  defer();
  one.rows("BEGIN");
  EXPECT_THAT(one.rows(fetch_sql(1)), ElementsAre("1"));
  EXPECT_THAT(two.rows(fetch_sql(2)), ElementsAre("2"));
  EXPECT_THAT(two.rows(fetch_sql(2)), IsEmpty());
  one.rows("COMMIT");
}

TEST_F(Queue, ALockThatIsBeingTakenIsTaken) {
  defer("lock => 'sink'");
  defer("lock => 'sink'");
  one.rows("BEGIN");
  EXPECT_THAT(one.rows(fetch_sql(1)), ElementsAre("1"));
  EXPECT_THAT(two.rows(fetch_sql(2, 10)), IsEmpty());
  one.rows("ROLLBACK");
  EXPECT_THAT(two.rows(fetch_sql(2, 10)), ElementsAre("1"));
}

// Both snapshots of the race, made visible: worker 2 has looked (and believes the lock free) when a job of
// higher priority comes in and is started by worker 1; only then does worker 2 write.
TEST_F(Queue, ASnapshotThatIsTooOldIsTakenAgain) {
  defer("lock => 'sink'");
  defer();
  two.rows("LISTEN " + std::string(kAnyQueue));
  // Halts worker 2 between its look and its write.
  app.rows(
      "CREATE FUNCTION halt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
      " IF NEW.worker_id = 2 AND NEW.lock IS NOT NULL THEN PERFORM pg_advisory_xact_lock(1); END IF;"
      " RETURN NEW; END $$;"
      "CREATE TRIGGER halt BEFORE UPDATE ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION halt();"
      "SELECT pg_advisory_lock(1)");
  two.send(fetch_sql(2, 5));
  wait_until_blocked(database, two);
  defer("lock => 'sink', priority => 9");
  EXPECT_THAT(one.rows(fetch_sql(1)), ElementsAre("3"));
  app.rows("SELECT pg_advisory_unlock(1)");
  EXPECT_THAT(two.receive(), ElementsAre("2"));
  EXPECT_EQ(job(1), "todo|0|∅");
  // Job 1 was out of sight while worker 2 held it: it is announced once more.
  EXPECT_THAT(two.notes(),
              Contains(Note{kAnyQueue, R"({"type":"job_inserted","job_id":1,"queue":"default","count":1})"}));
}

// There a second look sees no more than the first.
TEST_F(Queue, UnderRepeatableReadNothingLoopsForEver) {
  defer("lock => 'sink'");
  defer("queueing_lock => 'once', queue => 'floors'");
  fetch(1, 1, "'{floors}'");
  two.rows("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM procrastinate_jobs");
  defer("lock => 'sink', priority => 9");
  defer("queueing_lock => 'once', queue => 'floors'");
  fetch(1, 1, "'{default}'");
  EXPECT_THAT(two.rows(fetch_sql(2)), IsEmpty());
  try {
    two.rows(finish_sql(1, outcome(2, "retry")));
    FAIL();
  } catch (const SqlError& error) {
    EXPECT_EQ(error.sqlstate, "40001");
  }
}

TEST_F(Queue, UnderRepeatableReadAJobThatAnotherTookIsNotFound) {
  defer();
  for (const std::string& look :
       {fetch_sql(2), std::string("SELECT FROM procrastinate_fetch_job_v2(NULL, 2) AS "
                                  "job WHERE job.id IS NOT NULL")}) {
    two.rows("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM procrastinate_jobs");
    ASSERT_THAT(fetch(1), ElementsAre("1"));
    EXPECT_THAT(two.rows(look), IsEmpty());
    two.rows("COMMIT");
    finish(outcome(1, "release"));
  }
  two.rows("BEGIN ISOLATION LEVEL SERIALIZABLE");
  EXPECT_THAT(two.rows(fetch_sql(2)), ElementsAre("1"));
  two.rows("COMMIT");
}

TEST_F(Queue, NeverTwoOfOneLockUnderManyFetchers) {
  app.rows(
      "SELECT postpone_defer('wash', lock => 'l' || i % 3, priority => i % 5) FROM generate_series(1, 240) "
      "AS i");
  // The unique index would refuse a second one; this counts what the sessions saw.
  const auto work = [this](int worker) {
    Session session(database);
    Values done;
    for (int idle = 0; idle < 200;) {
      const Values taken = session.rows(fetch_sql(worker, 2));
      if (taken.empty()) {
        ++idle;
        if (session.value("SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'") == "0") break;
        continue;
      }
      idle = 0;
      for (const std::string& id : taken) {
        const std::string recorded = session.value(finish_sql(worker, outcome(std::stoi(id), "succeed")));
        if (recorded != id + "|recorded|∅|succeeded") throw std::runtime_error(recorded);
        done.push_back(id);
      }
    }
    return done;
  };
  std::vector<std::future<Values>> workers;
  workers.reserve(6);
  for (int i = 0; i < 6; ++i) workers.push_back(std::async(std::launch::async, work, 1 + i % 2));
  Values all;
  for (auto& worker : workers) std::ranges::copy(worker.get(), std::back_inserter(all));
  std::ranges::sort(all);
  EXPECT_EQ(std::ranges::adjacent_find(all), all.end());
  EXPECT_EQ(app.value("SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"), "240");
  EXPECT_EQ(
      app.value(
          "SELECT max(n) FROM (SELECT count(*) AS n FROM procrastinate_events GROUP BY job_id, type) AS c"),
      "1");
  // In order: within a lock, by priority, then age. (Ids rise with age. An event's `at` is when its
  // transaction began, and a fetch that began early may take late; its id rises with the order in which jobs
  // were taken.)
  EXPECT_THAT(app.rows(R"(
          SELECT lock
          FROM (SELECT lock,
                       row_number() OVER (PARTITION BY lock ORDER BY priority DESC, job.id) AS wanted,
                       row_number() OVER (PARTITION BY lock ORDER BY started.id) AS got
                FROM procrastinate_jobs AS job
                JOIN procrastinate_events AS started ON started.job_id = job.id AND started.type = 'started') AS ordered
          WHERE wanted <> got)"),
              IsEmpty());
}

// --- rescue ---

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

// --- notifications ---

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

// --- many rows ---

// A statement that follows a cached plan for one row, on many: quadratic plans would take minutes here.
TEST_F(Queue, AStatementOnTenThousandJobsIsOneStatement) {
  defer();
  fetch();
  app.rows("SELECT procrastinate_cancel_job_v1(1, true, false)");
  app.rows("SELECT postpone_defer('wash', lock => 'l' || i) FROM generate_series(1, 10) AS i");
  app.rows(
      "INSERT INTO procrastinate_jobs (queue_name, task_name) SELECT 'q' || i % 7, 't' FROM "
      "generate_series(1, 10000) i");
  app.rows("UPDATE procrastinate_jobs SET priority = 3 WHERE status = 'todo'");
  EXPECT_THAT(fetch(1, 10000), SizeIs(10000));
  app.rows("DELETE FROM procrastinate_jobs WHERE status = 'doing'");
  EXPECT_EQ(app.value("SELECT count(*) FROM procrastinate_jobs"), "10");
}

// The plans of the hot queries, in a session that has run them often: with 20,000 jobs of each kind in the
// table no query may read all of it.
TEST_F(Queue, HotQueriesReadNoMoreThanTheyNeed) {
  app.rows(
      "ALTER TABLE procrastinate_jobs SET (autovacuum_enabled = off);"
      "ANALYZE procrastinate_jobs;"  // of an empty table: the planner believes that it is small
      "INSERT INTO procrastinate_jobs (queue_name, task_name, status) SELECT 'default', 't', 'succeeded' "
      "FROM "
      "generate_series(1, 20000);"
      "INSERT INTO procrastinate_jobs (queue_name, task_name, lock) SELECT 'default', 't', 'l' || i FROM "
      "generate_series(1, 20000) AS i");
  for (int i = 0; i < 8; ++i) {
    const std::string id = fetch().front();
    finish(outcome(std::stoi(id), "succeed"));
  }
  // What this session has read since the transaction began: of that every version of PostgreSQL gives account
  // at once.
  const auto read = [&] {
    return std::stol(
        app.value("SELECT pg_stat_get_xact_tuples_returned('procrastinate_jobs'::regclass) + (SELECT sum("
                  "pg_stat_get_xact_tuples_returned(indexrelid)) FROM pg_index WHERE indrelid = "
                  "'procrastinate_jobs'::regclass)"));
  };
  app.rows("BEGIN");
  const long before = read();
  for (int i = 0; i < 10; ++i) {
    const std::string id = fetch(1, 1, "'{default}'").front();
    finish(outcome(std::stoi(id), "succeed"));
    app.rows("SELECT id FROM procrastinate_fetch_job_v2('{default}', 2)");
  }
  EXPECT_LT(read() - before, 10 * 500);
  app.rows("COMMIT");
}

}  // namespace
}  // namespace postpone::tests
