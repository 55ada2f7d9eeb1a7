// A fetch that knows, by an earlier one, where the jobs begin that nobody has taken; and one that shares what waits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/fetch_fixture.h"

namespace postpone::tests {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class AFetchWithAStart : public Queue {
 protected:
  // Behind this job of priority 0; or of another.
  Values fetch_behind(int job, int max_jobs, const std::string& columns = "id", int priority = 0) {
    return app.rows("SELECT " + columns + " FROM postpone_fetch_jobs(NULL, 1, " + std::to_string(max_jobs) +
                    ", start_priority => " + std::to_string(priority) + ", start_id => " +
                    std::to_string(job) + ")");
  }
  void defer_many(int count, const std::string& arguments = "") {
    for (int i = 0; i < count; ++i) defer(arguments);
  }
};

TEST_F(AFetchWithAStart, TakesWhatIsBehindIt) {
  defer_many(5);
  EXPECT_THAT(fetch_behind(3, 1), ElementsAre("4"));
  EXPECT_THAT(fetch_behind(3, 10), ElementsAre("5"));
}

TEST_F(AFetchWithAStart, LooksFromTheTopWhereNothingIsBehindIt) {
  defer_many(3);
  EXPECT_THAT(fetch_behind(3, 10), ElementsAre("1", "2", "3"));
  EXPECT_THAT(fetch_behind(3, 10), IsEmpty());
}

TEST_F(AFetchWithAStart, TakesAHigherPriorityFirst) {
  defer_many(3);
  defer("priority => 1");
  EXPECT_THAT(fetch_behind(1, 2), ElementsAre("4"));
  EXPECT_THAT(fetch_behind(1, 2), ElementsAre("2", "3"));
}

TEST_F(AFetchWithAStart, TakesALowerPriorityWhereNoneOfItsOwnIsLeft) {
  defer_many(2, "priority => -1");
  defer();
  EXPECT_THAT(fetch_behind(0, 1), ElementsAre("3"));
  EXPECT_THAT(fetch_behind(3, 5), ElementsAre("1", "2"));
}

// The elder waits in front of the start, and nobody has taken it.
TEST_F(AFetchWithAStart, KeepsTheOrderOfALock) {
  defer("lock => 'sink'");
  defer();
  defer("lock => 'sink'");
  defer();
  EXPECT_THAT(fetch_behind(2, 5), ElementsAre("4"));
  EXPECT_THAT(fetch(1, 5), ElementsAre("1", "2"));
}

// In front of the start waits the successor of the job that ends in the same transaction.
TEST_F(AFetchWithAStart, SeesWhatWaitsForALockThatItsTransactionHasFreed) {
  defer("lock => 'sink'");
  defer("lock => 'sink'");
  defer_many(3);
  EXPECT_THAT(fetch(), ElementsAre("1"));
  app.rows("BEGIN");
  finish(outcome(1, "succeed"));
  EXPECT_THAT(fetch_behind(3, 1), ElementsAre("2"));
  app.rows("COMMIT");
  EXPECT_THAT(fetch_behind(3, 1), ElementsAre("4")) << "in the next transaction it begins at the start again";
}

TEST_F(AFetchWithAStart, IsNotHeldUpByAHigherPriorityThatCannotRun) {
  defer("priority => 5, scheduled_at => now() + interval '1 hour'");
  defer("priority => 5, queue => 'other'");
  defer_many(3);
  EXPECT_THAT(app.rows("SELECT id, from_top FROM postpone_fetch_jobs('{default}', 1, 1, start_priority => 0, "
                       "start_id => 3)"),
              ElementsAre("4|f"));
}

TEST_F(AFetchWithAStart, IsNotHeldUpByAHigherPriorityBehindABusyLock) {
  defer("lock => 'sink', priority => 5");
  defer("lock => 'sink', priority => 5");
  EXPECT_THAT(fetch(), ElementsAre("1"));
  defer_many(2);
  EXPECT_THAT(fetch_behind(3, 1, "id, from_top"), ElementsAre("4|f"));
}

TEST_F(AFetchWithAStart, SeesWhatItsTransactionHasSentBack) {
  defer_many(4);
  EXPECT_THAT(fetch(), ElementsAre("1"));
  app.rows("BEGIN");
  finish(outcome(1, "release"));
  EXPECT_THAT(fetch_behind(2, 1), ElementsAre("1"));
  app.rows("COMMIT");
}

// It has claimed a job that fails, and has sent nothing back.
TEST_F(AFetchWithAStart, BeginsThereAlsoAfterAFailure) {
  defer_many(4);
  app.rows("SELECT FROM postpone_fetch_jobs(NULL, 1, 1, may_claim => true)");
  app.rows("BEGIN");
  finish(outcome(1, "fail"));
  EXPECT_THAT(fetch_behind(3, 1, "id, from_top"), ElementsAre("4|f"));
  app.rows("COMMIT");
}

TEST_F(AFetchWithAStart, TakesAQueueingLockAsTheFirstOnly) {
  defer_many(2);
  defer("queueing_lock => 'once'");
  defer();
  EXPECT_THAT(fetch_behind(1, 5), ElementsAre("2"));
  EXPECT_THAT(fetch_behind(2, 5), ElementsAre("3", "4"));
}

TEST_F(AFetchWithAStart, MayStandInATransactionThatKeepsItsSnapshot) {
  defer_many(3);
  app.rows("BEGIN ISOLATION LEVEL REPEATABLE READ");
  EXPECT_THAT(fetch_behind(2, 5, "id, from_top"), ElementsAre("3|f"));
  EXPECT_THAT(fetch_behind(2, 5, "id, from_top"), ElementsAre("1|t", "2|t"));
  app.rows("COMMIT");
}

// The table was analysed while all of its rows waited, and they have ended since: by the primary key, which has the order, too,
// a fetch would walk through all of them.
TEST_F(AFetchWithAStart, ReadsOnlyWhatWaitsWhateverTheStatisticsSay) {
  app.rows("SELECT count(postpone_defer('t')) FROM generate_series(1, 3000)");
  app.rows("ANALYZE procrastinate_jobs");
  app.rows("UPDATE procrastinate_jobs SET status = 'doing' WHERE id < 2990");
  app.rows("UPDATE procrastinate_jobs SET status = 'succeeded' WHERE id < 2990");
  app.rows("VACUUM procrastinate_jobs");
  const std::string read = "SELECT pg_stat_get_xact_tuples_fetched('procrastinate_jobs'::regclass)";
  app.rows("BEGIN");
  const int before = std::stoi(app.value(read));
  EXPECT_THAT(fetch_behind(5, 2), ElementsAre("2990", "2991"));
  EXPECT_LT(std::stoi(app.value(read)) - before, 100);
  app.rows("COMMIT");
}

TEST_F(AFetchWithAStart, SaysThatThereIsMoreInFrontOfIt) {
  defer_many(3);
  EXPECT_THAT(fetch_behind(2, 5, "id, more"), ElementsAre("3|t"));
  EXPECT_THAT(fetch_behind(3, 5, "id, more"), ElementsAre("1|f", "2|f"));
}

class AFetchThatShares : public Queue {
 protected:
  Values fetch_among(int sharers, int max_jobs, int worker = 1) {
    return app.rows("SELECT count(*), min(waiting) FROM postpone_fetch_jobs(NULL, " + std::to_string(worker) +
                    ", " + std::to_string(max_jobs) + ", may_claim => true, sharers => " +
                    std::to_string(sharers) + ")");
  }
};

TEST_F(AFetchThatShares, TakesItsPartOfWhatWaits) {
  for (int i = 0; i < 10; ++i) defer();
  EXPECT_THAT(fetch_among(4, 8), ElementsAre("3|10"));
}

TEST_F(AFetchThatShares, TakesOneAtLeast) {
  defer();
  EXPECT_THAT(fetch_among(9, 8), ElementsAre("1|1"));
}

TEST_F(AFetchThatShares, TakesAllThatItWantsWhereThereIsPlenty) {
  for (int i = 0; i < 10; ++i) defer();
  EXPECT_THAT(fetch_among(2, 3), ElementsAre("3|10"));
}

TEST_F(AFetchThatShares, CountsNeitherWhatIsClaimedNorWhatIsNotDue) {
  for (int i = 0; i < 4; ++i) defer();
  defer("scheduled_at => now() + interval '1 hour'");
  EXPECT_THAT(fetch_among(2, 8), ElementsAre("2|4"));
  EXPECT_THAT(fetch_among(2, 8, 2), ElementsAre("1|2"));
}

TEST_F(AFetchThatShares, CountsFromTheTopWhereLittleIsBehindItsStart) {
  for (int i = 0; i < 8; ++i) defer();
  EXPECT_THAT(app.rows("SELECT count(*), min(waiting) FROM postpone_fetch_jobs(NULL, 1, 4, sharers => 2,"
                       " start_priority => 0, start_id => 7)"),
              ElementsAre("1|8"));
}

// As they did when they were installed with version 11.
TEST_F(AFetchThatShares, IsWhatOlderProgramsAskFor) {
  for (int i = 0; i < 10; ++i) defer();
  EXPECT_THAT(
      app.rows("SELECT f.id, f.more, f.is_claimed FROM postpone_fetch_jobs(NULL::varchar[], 1::bigint,"
               " postpone_share_of(NULL::varchar[], 8, 5), NULL::bigint[], NULL::text[], false, true,"
               " NULL::text[]) f"),
      ElementsAre("1|t|t", "2|t|t"));
}

TEST_F(AFetchThatShares, CountsNothingAlone) {
  for (int i = 0; i < 4; ++i) defer();
  EXPECT_THAT(fetch_among(1, 8), ElementsAre("4|∅"));
}

}  // namespace
}  // namespace postpone::tests
