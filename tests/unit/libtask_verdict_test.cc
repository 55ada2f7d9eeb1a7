// How long a retry waits, and what becomes of a job after each result.
#include "libtask/wire/verdict.h"

#include <gmock/gmock.h>

#include <limits>
#include <optional>

namespace libtask::wire {
namespace {

using namespace std::chrono_literals;
using Action = Verdict::Action;
using Seconds = std::chrono::duration<double>;

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
  const auto may = [&](int attempts) { return has_attempts_left(strategy, {.attempts = attempts}); };
  EXPECT_TRUE(may(0));
  EXPECT_TRUE(may(1));
  EXPECT_FALSE(may(2));
  EXPECT_FALSE(may(3));
  EXPECT_FALSE(has_attempts_left(RetryStrategy{.max_attempts = 0}, {}));
  EXPECT_TRUE(has_attempts_left(RetryStrategy{}, {.attempts = 1'000'000}));
  EXPECT_TRUE(has_attempts_left(std::nullopt, {.attempts = 1'000'000}));
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

TEST(RetryBudget, WhatAPersonHasGrantedCountsInThePlaceOfTheTasksLimit) {
  for (const auto& strategy :
       {std::optional<RetryStrategy>(), std::optional(RetryStrategy{.max_attempts = 50}),
        std::optional(RetryStrategy{.max_attempts = 0})}) {
    EXPECT_TRUE(has_attempts_left(strategy, {.attempts = 0, .allowed = 2}));
    EXPECT_FALSE(has_attempts_left(strategy, {.attempts = 1, .allowed = 2}));
    EXPECT_FALSE(has_attempts_left(strategy, {.attempts = 0, .allowed = 1}));
    constexpr int kMost = std::numeric_limits<int>::max();
    EXPECT_FALSE(has_attempts_left(strategy, {.attempts = kMost, .allowed = kMost}));
  }
}

TEST(Misfits, WaitLongerEachTimeAndEndAfterSomeMinutes) {
  EXPECT_EQ(misfit_wait(0, 0.5), 10s);
  EXPECT_EQ(misfit_wait(1, 0.5), 20s);
  EXPECT_EQ(misfit_wait(0, 0), 7.5s);
  EXPECT_EQ(misfit_wait(kMostMisfits, 0.5), std::nullopt);
  Seconds all(0);
  for (int misfits = 0; const auto wait = misfit_wait(misfits, 0.5); ++misfits) all += *wait;
  EXPECT_EQ(all, 310s);
}

// --- what becomes of a job ---------------------------------------------------------------------------------

TEST(Verdict, SuccessIsFinalWhateverTheStrategySays) {
  EXPECT_EQ(judge({.status = ResultStatus::succeeded}, RetryStrategy{}, {.attempts = 0}).action,
            Action::succeed);
}

TEST(Verdict, ExceptionWithoutAStrategyIsFinal) {
  EXPECT_EQ(judge({.status = ResultStatus::exception}, std::nullopt, {.attempts = 0}).action, Action::fail);
}

TEST(Verdict, ExceptionIsRetriedWithWhatTheStrategyChanges) {
  const RetryStrategy strategy{
      .max_attempts = 1, .wait = 7s, .on_crash = false, .priority = -1, .queue = "slow", .lock = "sink"};
  const Verdict verdict = judge({.status = ResultStatus::exception}, strategy, {});
  EXPECT_EQ(verdict.action, Action::retry);
  EXPECT_EQ(verdict.wait, 7s);
  EXPECT_EQ(verdict.priority, -1);
  EXPECT_EQ(verdict.queue, "slow");
  EXPECT_EQ(verdict.lock, "sink");
  EXPECT_EQ(judge({.status = ResultStatus::exception}, strategy, {.attempts = 1}).action, Action::fail);
  EXPECT_EQ(judge({.status = ResultStatus::exception, .retryable = false}, strategy, {.attempts = 0}).action,
            Action::fail);
}

TEST(Verdict, RetryThatTheHandlerAskedForNeedsNoStrategy) {
  const Result result{.status = ResultStatus::exception, .retry_in_us = 1'500'000};
  EXPECT_EQ(judge(result, std::nullopt, {.attempts = 5}).action, Action::retry);
  EXPECT_EQ(judge(result, std::nullopt, {.attempts = 5}).wait, 1500ms);
}

TEST(Verdict, RetryThatTheHandlerAskedForMayNeedNoAttemptAndChangeTheJob) {
  const RetryStrategy strategy{.max_attempts = 1, .queue = "slow"};
  Result result{.status = ResultStatus::exception, .retry_in_us = 0, .retry_priority = 9};
  const Past last{.attempts = 1};
  EXPECT_EQ(judge(result, strategy, last).action, Action::fail);
  EXPECT_TRUE(judge(result, strategy, last).is_used_up);
  result.retry_counts = false;
  const Verdict verdict = judge(result, strategy, last);
  EXPECT_EQ(verdict.action, Action::retry);
  EXPECT_FALSE(verdict.counts);
  EXPECT_EQ(verdict.priority, 9);
  EXPECT_EQ(verdict.queue, "slow");
}

TEST(Verdict, JobThatTheProgramDoesNotFitWaitsWhereThatIsThePolicy) {
  for (const ResultStatus status : {ResultStatus::bad_arguments, ResultStatus::unknown_task}) {
    const MisfitPolicy policy{.retries_unknown_task = status == ResultStatus::unknown_task,
                              .retries_bad_arguments = status == ResultStatus::bad_arguments};
    const Verdict verdict = judge({.status = status}, std::nullopt, {.misfits = 1}, policy);
    EXPECT_EQ(verdict.action, Action::retry);
    EXPECT_EQ(verdict.wait, 20s);
    EXPECT_FALSE(verdict.counts);
    EXPECT_EQ(judge({.status = status}, std::nullopt, {.misfits = kMostMisfits}, policy).action,
              Action::fail);
  }
}

TEST(Verdict, ArgumentsThatAreBadAreBadTheNextTimeToo) {
  EXPECT_EQ(judge({.status = ResultStatus::bad_arguments}, RetryStrategy{}, {.attempts = 0}).action,
            Action::fail);
}

TEST(Verdict, AbortedJobIsDecidedByTheReason) {
  const auto aborted = [](std::optional<Abort::Reason> reason) {
    const RetryStrategy strategy{.wait = 3s, .queue = "slow"};
    return judge({.status = ResultStatus::aborted, .abort_reason = reason}, strategy, {});
  };
  EXPECT_EQ(aborted(std::nullopt).action, Action::abort);
  EXPECT_EQ(aborted(Abort::Reason::requested).action, Action::abort);
  EXPECT_EQ(aborted(Abort::Reason::time_limit).action, Action::retry);
  EXPECT_EQ(aborted(Abort::Reason::time_limit).wait, 3s);
  EXPECT_EQ(aborted(Abort::Reason::shutdown).action, Action::retry);
  EXPECT_EQ(aborted(Abort::Reason::shutdown).wait, 0s) << "its process had to end, which was not its fault";
  EXPECT_EQ(aborted(Abort::Reason::shutdown).queue, std::nullopt);
  EXPECT_FALSE(aborted(Abort::Reason::shutdown).counts);
}

TEST(Verdict, CrashIsRetriedUnlessTheStrategySaysNo) {
  EXPECT_EQ(after_crash(RetryStrategy{}, {.attempts = 0}).action, Action::retry);
  EXPECT_EQ(after_crash(RetryStrategy{.on_crash = false}, {}).action, Action::fail);
  EXPECT_EQ(after_crash(std::nullopt, {.attempts = 0}).action, Action::fail);
}

}  // namespace
}  // namespace libtask::wire
