#include "subworker/task/retrying.h"

#include <algorithm>
#include <cmath>

namespace postpone::subworker {
namespace {

using libtask::wire::RetryStrategy;

constexpr sql::Seconds kLongestWait = std::chrono::hours(24 * 365);
constexpr sql::Seconds kFirstMisfitWait = std::chrono::seconds(10);
constexpr double kMisfitJitter = 0.25;

sql::Seconds with_jitter(sql::Seconds wait, double jitter, double chance) {
  return wait * (1 + jitter * (2 * chance - 1));
}

}  // namespace

int counted_attempts(const sql::Job& job) {
  return std::max(0, job.attempts - job.budget.uncounted);
}

bool has_attempts_left(const sql::Job& job, const std::optional<RetryStrategy>& strategy) {
  const int counted = counted_attempts(job);
  if (job.budget.allowed) return counted + 1 < *job.budget.allowed;
  return !strategy || !strategy->max_attempts || counted < *strategy->max_attempts;
}

sql::Seconds retry_wait(const RetryStrategy& strategy, int attempts, double chance) {
  sql::Seconds wait = strategy.wait + strategy.linear_wait * attempts;
  if (strategy.exponential_wait.count() > 0)
    wait += sql::Seconds(std::pow(strategy.exponential_wait.count(), static_cast<double>(attempts) + 1));
  wait = std::clamp(wait, sql::Seconds(0), strategy.max_wait.value_or(kLongestWait));
  return std::min(with_jitter(wait, strategy.jitter, chance), kLongestWait);
}

std::optional<sql::Seconds> misfit_wait(int misfits, double chance) {
  if (misfits >= sql::kMostMisfits) return std::nullopt;
  return with_jitter(kFirstMisfitWait * std::pow(2, misfits), kMisfitJitter, chance);
}

}  // namespace postpone::subworker
