#include "libtask/wire/verdict.h"

#include <algorithm>
#include <cmath>

namespace libtask::wire {
namespace {

using Wait = std::chrono::duration<double>;

constexpr Wait kLongestRetryWait = std::chrono::hours(24 * 365);
constexpr Wait kFirstMisfitWait = std::chrono::seconds(10);
constexpr double kMisfitJitter = 0.25;

Wait with_jitter(Wait wait, double jitter, double chance) {
  return wait * (1 + jitter * (2 * chance - 1));
}

Verdict again_in(Wait wait, const std::optional<RetryStrategy>& retry) {
  Verdict verdict{.action = Verdict::Action::retry, .wait = wait};
  if (!retry) return verdict;
  verdict.priority = retry->priority;
  verdict.queue = retry->queue;
  verdict.lock = retry->lock;
  return verdict;
}

// A failure that the strategy, or what a person has granted, may turn into a further attempt.
Verdict by_strategy(const std::optional<RetryStrategy>& retry, const Past& past, double chance) {
  if (!has_attempts_left(retry, past)) return {};
  if (retry) return again_in(retry_wait(*retry, past.attempts, chance), retry);
  return past.allowed ? again_in(Wait(0), retry) : Verdict{};
}

Verdict as_asked(const Result& result, const std::optional<RetryStrategy>& retry, const Past& past) {
  if (result.retry_counts && !has_attempts_left(retry, past)) return {.is_used_up = true};
  Verdict verdict = again_in(std::chrono::microseconds(*result.retry_in_us), retry);
  verdict.counts = result.retry_counts;
  if (result.retry_priority) verdict.priority = result.retry_priority;
  if (result.retry_queue) verdict.queue = result.retry_queue;
  if (result.retry_lock) verdict.lock = result.retry_lock;
  return verdict;
}

Verdict after_exception(const Result& result, const std::optional<RetryStrategy>& retry, const Past& past,
                        double chance) {
  if (result.retry_in_us) return as_asked(result, retry, past);
  return result.retryable ? by_strategy(retry, past, chance) : Verdict{};
}

// A job that stopped because its process had to end waits again whatever its strategy says, and the attempt does
// not count: that was not its fault.
Verdict after_stop(std::optional<Abort::Reason> reason, const std::optional<RetryStrategy>& retry,
                   const Past& past, double chance) {
  if (reason == Abort::Reason::time_limit) return after_crash(retry, past, chance);
  if (reason == Abort::Reason::shutdown) return {.action = Verdict::Action::retry, .counts = false};
  return {.action = Verdict::Action::abort};
}

}  // namespace

bool has_attempts_left(const std::optional<RetryStrategy>& strategy, const Past& past) {
  if (past.allowed) return past.attempts < *past.allowed && past.attempts + 1 < *past.allowed;
  return !strategy || !strategy->max_attempts || past.attempts < *strategy->max_attempts;
}

Wait retry_wait(const RetryStrategy& strategy, int attempts, double chance) {
  Wait wait = strategy.wait + strategy.linear_wait * attempts;
  if (strategy.exponential_wait.count() > 0)
    wait += Wait(std::pow(strategy.exponential_wait.count(), static_cast<double>(attempts) + 1));
  wait = std::clamp(wait, Wait(0), strategy.max_wait.value_or(kLongestRetryWait));
  return std::min(with_jitter(wait, strategy.jitter, chance), kLongestRetryWait);
}

std::optional<Wait> misfit_wait(int misfits, double chance) {
  if (misfits >= kMostMisfits) return std::nullopt;
  return with_jitter(kFirstMisfitWait * std::pow(2, misfits), kMisfitJitter, chance);
}

Verdict after_crash(const std::optional<RetryStrategy>& retry, const Past& past, double chance) {
  return retry && !retry->on_crash ? Verdict{} : by_strategy(retry, past, chance);
}

Verdict after_misfit(bool waits, const Past& past, double chance) {
  const auto wait = waits ? misfit_wait(past.misfits, chance) : std::nullopt;
  if (!wait) return {};
  return {.action = Verdict::Action::retry, .wait = *wait, .counts = false};
}

Verdict judge(const Result& result, const std::optional<RetryStrategy>& retry, const Past& past,
              const MisfitPolicy& policy, double chance) {
  switch (result.status) {
    case ResultStatus::succeeded:
      return {.action = Verdict::Action::succeed};
    case ResultStatus::exception:
      return after_exception(result, retry, past, chance);
    case ResultStatus::aborted:
      return after_stop(result.abort_reason, retry, past, chance);
    case ResultStatus::bad_arguments:  // to the same program they are as bad next time: not as the task says
      return after_misfit(policy.retries_bad_arguments, past, chance);
    case ResultStatus::unknown_task:
      return after_misfit(policy.retries_unknown_task, past, chance);
  }
  return {};
}

}  // namespace libtask::wire
