#include "subworker/task/retrying.h"

#include <gmock/gmock.h>

#include <optional>
#include <string>
#include <vector>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using libtask::wire::RetryStrategy;
using sql::Seconds;

// A job after so many attempts.
sql::Job tried(int attempts, int uncounted = 0, std::optional<int> allowed = {}) {
  sql::Job job;
  job.attempts = attempts;
  job.budget.uncounted = uncounted;
  job.budget.allowed = allowed;
  return job;
}

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
  const auto may = [&](int attempts) { return has_attempts_left(tried(attempts), strategy); };
  EXPECT_TRUE(may(0));
  EXPECT_TRUE(may(1));
  EXPECT_FALSE(may(2));
  EXPECT_FALSE(may(3));
  EXPECT_FALSE(has_attempts_left(tried(0), RetryStrategy{.max_attempts = 0}));
  EXPECT_TRUE(has_attempts_left(tried(1'000'000), RetryStrategy{}));
  EXPECT_TRUE(has_attempts_left(tried(1'000'000), std::nullopt));
}

TEST(RetryWait, NoWaitIsLongerThanItsBound) {
  const RetryStrategy strategy{.exponential_wait = 2s, .max_wait = 60s};
  EXPECT_EQ(retry_wait(strategy, 2), 8s);
  EXPECT_EQ(retry_wait(strategy, 9), 60s);
  EXPECT_EQ(retry_wait(strategy, 100'000), 60s);
}

TEST(RetryWait, JitterMakesAWaitShorterOrLongerByChance) {
  const RetryStrategy strategy{.wait = 100s, .max_wait = 100s, .jitter = 0.2};
  EXPECT_EQ(retry_wait(strategy, 0, 0), 80s);
  EXPECT_EQ(retry_wait(strategy, 0, 0.5), 100s);
  EXPECT_NEAR(retry_wait(strategy, 0, 0.999999).count(), 120, 0.001);
  EXPECT_EQ(retry_wait({.wait = 100s, .jitter = 1}, 0, 0), 0s);
  EXPECT_EQ(retry_wait({.wait = kYear, .jitter = 1}, 0, 0.999), kYear);
}

// --- what is left ------------------------------------------------------------------------------------------

TEST(RetryBudget, UncountedAttemptsTakeNothing) {
  const RetryStrategy strategy{.max_attempts = 2};
  const sql::Job job = tried(7, 6);
  EXPECT_EQ(counted_attempts(job), 1);
  EXPECT_TRUE(has_attempts_left(job, strategy));
  EXPECT_FALSE(has_attempts_left(tried(8, 6), strategy));
  EXPECT_EQ(counted_attempts(tried(1, 3)), 0) << "a person has set attempts back";
}

TEST(RetryBudget, WhatAPersonHasGrantedCountsInThePlaceOfTheTasksLimit) {
  for (const auto& strategy :
       {std::optional<RetryStrategy>(), std::optional(RetryStrategy{.max_attempts = 50}),
        std::optional(RetryStrategy{.max_attempts = 0})}) {
    EXPECT_TRUE(has_attempts_left(tried(10, 10, 2), strategy));
    EXPECT_FALSE(has_attempts_left(tried(11, 10, 2), strategy));
    EXPECT_FALSE(has_attempts_left(tried(10, 10, 1), strategy));
  }
}

TEST(Misfits, WaitLongerEachTimeAndEndAfterSomeMinutes) {
  EXPECT_EQ(misfit_wait(0, 0.5), 10s);
  EXPECT_EQ(misfit_wait(1, 0.5), 20s);
  EXPECT_EQ(misfit_wait(0, 0), 7.5s);
  EXPECT_EQ(misfit_wait(sql::kMostMisfits, 0.5), std::nullopt);
  Seconds all(0);
  for (int misfits = 0; const auto wait = misfit_wait(misfits, 0.5); ++misfits) all += *wait;
  EXPECT_EQ(all, 310s);
}

}  // namespace
}  // namespace postpone::subworker
