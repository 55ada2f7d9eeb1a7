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
  EXPECT_THAT(fetch_behind(1, 2), ElementsAre("4", "1"));
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

TEST_F(AFetchThatShares, CountsNothingAlone) {
  for (int i = 0; i < 4; ++i) defer();
  EXPECT_THAT(fetch_among(1, 8), ElementsAre("4|∅"));
}

}  // namespace
}  // namespace postpone::tests
