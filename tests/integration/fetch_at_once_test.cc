// Several sessions that fetch at once: of a lock runs one job, and nobody waits for another.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <string>
#include <vector>

#include "tests/integration/fetch_fixture.h"
#include "tests/integration/session.h"

namespace postpone::tests {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

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

}  // namespace
}  // namespace postpone::tests
