#include "libtask/wire/verdict.h"

#include <algorithm>
#include <cmath>

namespace libtask::wire {
namespace {

using Wait = std::chrono::duration<double>;

constexpr Wait kLongestRetryWait = std::chrono::hours(24 * 365);

Verdict again_in(Wait wait, const std::optional<RetryStrategy>& retry) {
  Verdict verdict{.action = Verdict::Action::retry, .wait = wait};
  if (!retry) return verdict;
  verdict.priority = retry->priority;
  verdict.queue = retry->queue;
  verdict.lock = retry->lock;
  return verdict;
}

Verdict by_strategy(const std::optional<RetryStrategy>& retry, int attempts) {
  if (!retry) return {};
  const std::optional<Wait> wait = retry_wait(*retry, attempts);
  return wait ? again_in(*wait, retry) : Verdict{};
}

Verdict after_exception(const Result& result, const std::optional<RetryStrategy>& retry, int attempts) {
  if (result.retry_in_us) return again_in(std::chrono::microseconds(*result.retry_in_us), retry);
  return result.retryable ? by_strategy(retry, attempts) : Verdict{};
}

// A job that stopped because its process had to end waits again whatever its strategy says: that was not its
// fault.
Verdict after_stop(std::optional<Abort::Reason> reason, const std::optional<RetryStrategy>& retry,
                   int attempts) {
  if (reason == Abort::Reason::time_limit) return after_crash(retry, attempts);
  return {.action = reason == Abort::Reason::shutdown ? Verdict::Action::retry : Verdict::Action::abort};
}

}  // namespace

std::optional<Wait> retry_wait(const RetryStrategy& strategy, int attempts) {
  if (strategy.max_attempts && attempts >= *strategy.max_attempts) return std::nullopt;
  Wait wait = strategy.wait + strategy.linear_wait * attempts;
  if (strategy.exponential_wait.count() > 0)
    wait += Wait(std::pow(strategy.exponential_wait.count(), static_cast<double>(attempts) + 1));
  return std::clamp(wait, Wait(0), kLongestRetryWait);
}

Verdict after_crash(const std::optional<RetryStrategy>& retry, int attempts) {
  return retry && retry->on_crash ? by_strategy(retry, attempts) : Verdict{};
}

Verdict judge(const Result& result, const std::optional<RetryStrategy>& retry, int attempts) {
  switch (result.status) {
    case ResultStatus::succeeded:
      return {.action = Verdict::Action::succeed};
    case ResultStatus::exception:
      return after_exception(result, retry, attempts);
    case ResultStatus::aborted:
      return after_stop(result.abort_reason, retry, attempts);
    case ResultStatus::bad_arguments:  // they will be as bad next time
    case ResultStatus::unknown_task:
      break;
  }
  return {};
}

}  // namespace libtask::wire
