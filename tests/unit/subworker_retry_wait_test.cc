#include "subworker/task/outcome.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using libtask::wire::RetryStrategy;
using sql::Seconds;

constexpr Seconds kYear = std::chrono::hours(24 * 365);

// --- how long a retry waits --------------------------------------------------------------------------------

TEST(RetryWait, StrategyThatSaysNothingRetriesAtOnceForever) {
  EXPECT_EQ(retry_wait({}, 0), 0s);
  EXPECT_EQ(retry_wait({}, 1'000'000), 0s);
}

TEST(RetryWait, ConstantWaitStays) {
  const RetryStrategy strategy{.wait = 7s};
  for (int attempts : {0, 1, 50}) EXPECT_EQ(retry_wait(strategy, attempts), 7s);
}

TEST(RetryWait, LinearWaitGrowsWithTheAttemptsBefore) {
  const RetryStrategy strategy{.linear_wait = 3s};
  EXPECT_EQ(retry_wait(strategy, 0), 0s);
  EXPECT_EQ(retry_wait(strategy, 1), 3s);
  EXPECT_EQ(retry_wait(strategy, 10), 30s);
}

TEST(RetryWait, ExponentialWaitIsAPowerOfOneMoreThanTheAttemptsBefore) {
  const RetryStrategy strategy{.exponential_wait = 2s};
  EXPECT_EQ(retry_wait(strategy, 0), 2s);
  EXPECT_EQ(retry_wait(strategy, 1), 4s);
  EXPECT_EQ(retry_wait(strategy, 9), 1024s);
}

TEST(RetryWait, TheThreePartsAddUp) {
  const RetryStrategy strategy{.wait = 5s, .linear_wait = 3s, .exponential_wait = 2s};
  EXPECT_EQ(retry_wait(strategy, 0), 5s + 0s + 2s);
  EXPECT_EQ(retry_wait(strategy, 4), 5s + 12s + 32s);
}

TEST(RetryWait, ABaseBelowOneSecondShrinks) {
  EXPECT_EQ(retry_wait({.exponential_wait = 500ms}, 1), 250ms);
}

TEST(RetryWait, NoWaitIsLongerThanAYear) {
  EXPECT_EQ(retry_wait({.exponential_wait = 2s}, 30), kYear);
  EXPECT_EQ(retry_wait({.exponential_wait = 1000s}, 100'000), kYear);  // infinity
  EXPECT_EQ(retry_wait({.wait = 2 * kYear}, 0), kYear);
}

TEST(RetryWait, NoWaitIsNegative) {
  EXPECT_EQ(retry_wait({.wait = -5s}, 0), 0s);
}

TEST(RetryWait, JobRunsOnceMoreThanMaxAttempts) {
  const RetryStrategy strategy{.max_attempts = 2, .wait = 1s};
  EXPECT_EQ(retry_wait(strategy, 0), 1s);
  EXPECT_EQ(retry_wait(strategy, 1), 1s);
  EXPECT_EQ(retry_wait(strategy, 2), std::nullopt);
  EXPECT_EQ(retry_wait(strategy, 3), std::nullopt);
  EXPECT_EQ(retry_wait({.max_attempts = 0}, 0), std::nullopt);
}

}  // namespace
}  // namespace postpone::subworker
