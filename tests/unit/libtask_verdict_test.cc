// How long a retry waits, and what becomes of a job after each result.
#include "libtask/wire/verdict.h"

#include <gmock/gmock.h>

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
  EXPECT_EQ(retry_wait(strategy, 0), 1s);
  EXPECT_EQ(retry_wait(strategy, 1), 1s);
  EXPECT_EQ(retry_wait(strategy, 2), std::nullopt);
  EXPECT_EQ(retry_wait(strategy, 3), std::nullopt);
  EXPECT_EQ(retry_wait({.max_attempts = 0}, 0), std::nullopt);
}

// --- what becomes of a job ---------------------------------------------------------------------------------

TEST(Verdict, SuccessIsFinalWhateverTheStrategySays) {
  EXPECT_EQ(judge({.status = ResultStatus::succeeded}, RetryStrategy{}, 0).action, Action::succeed);
}

TEST(Verdict, ExceptionWithoutAStrategyIsFinal) {
  EXPECT_EQ(judge({.status = ResultStatus::exception}, std::nullopt, 0).action, Action::fail);
}

TEST(Verdict, ExceptionIsRetriedWithWhatTheStrategyChanges) {
  const RetryStrategy strategy{
      .max_attempts = 1, .wait = 7s, .on_crash = false, .priority = -1, .queue = "slow", .lock = "sink"};
  const Verdict verdict = judge({.status = ResultStatus::exception}, strategy, 0);
  EXPECT_EQ(verdict.action, Action::retry);
  EXPECT_EQ(verdict.wait, 7s);
  EXPECT_EQ(verdict.priority, -1);
  EXPECT_EQ(verdict.queue, "slow");
  EXPECT_EQ(verdict.lock, "sink");
  EXPECT_EQ(judge({.status = ResultStatus::exception}, strategy, 1).action, Action::fail);
  EXPECT_EQ(judge({.status = ResultStatus::exception, .retryable = false}, strategy, 0).action, Action::fail);
}

TEST(Verdict, RetryThatTheHandlerAskedForNeedsNoStrategy) {
  const Result result{.status = ResultStatus::exception, .retry_in_us = 1'500'000};
  EXPECT_EQ(judge(result, std::nullopt, 5).action, Action::retry);
  EXPECT_EQ(judge(result, std::nullopt, 5).wait, 1500ms);
}

TEST(Verdict, ArgumentsThatAreBadAreBadTheNextTimeToo) {
  EXPECT_EQ(judge({.status = ResultStatus::bad_arguments}, RetryStrategy{}, 0).action, Action::fail);
}

TEST(Verdict, AbortedJobIsDecidedByTheReason) {
  const auto aborted = [](std::optional<Abort::Reason> reason) {
    const RetryStrategy strategy{.wait = 3s, .queue = "slow"};
    return judge({.status = ResultStatus::aborted, .abort_reason = reason}, strategy, 0);
  };
  EXPECT_EQ(aborted(std::nullopt).action, Action::abort);
  EXPECT_EQ(aborted(Abort::Reason::requested).action, Action::abort);
  EXPECT_EQ(aborted(Abort::Reason::time_limit).action, Action::retry);
  EXPECT_EQ(aborted(Abort::Reason::time_limit).wait, 3s);
  EXPECT_EQ(aborted(Abort::Reason::shutdown).action, Action::retry);
  EXPECT_EQ(aborted(Abort::Reason::shutdown).wait, 0s) << "its process had to end, which was not its fault";
  EXPECT_EQ(aborted(Abort::Reason::shutdown).queue, std::nullopt);
}

TEST(Verdict, CrashIsRetriedUnlessTheStrategySaysNo) {
  EXPECT_EQ(after_crash(RetryStrategy{}, 0).action, Action::retry);
  EXPECT_EQ(after_crash(RetryStrategy{.on_crash = false}, 0).action, Action::fail);
  EXPECT_EQ(after_crash(std::nullopt, 0).action, Action::fail);
}

}  // namespace
}  // namespace libtask::wire
