// What becomes of a job after a run, by what its task process says and by its task's retry strategy: pure
// functions. Sub-workers decide by them; a run by hand and <libtask/testing.h> say by them what a sub-worker
// would decide.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "libtask/wire/description.h"
#include "libtask/wire/frame.h"

namespace libtask::wire {

struct Verdict {
  enum class Action { succeed, fail, abort, retry } action = Action::fail;
  // With `retry`: how long the job waits, and what of it changes.
  std::chrono::duration<double> wait{0};
  std::optional<int> priority{};
  std::optional<std::string> queue{};
  std::optional<std::string> lock{};
};

// How long a job waits before its next attempt; nothing when the strategy gives it up. `attempts` counts
// those before the one that just failed. The rule is Procrastinate's: see RetryStrategy. Waits longer than a
// year are cut to one.
std::optional<std::chrono::duration<double>> retry_wait(const RetryStrategy& strategy, int attempts);

// After a crash, and after a time limit that has passed.
Verdict after_crash(const std::optional<RetryStrategy>& retry, int attempts);

// After a result. `attempts` counts those before this one.
Verdict judge(const Result& result, const std::optional<RetryStrategy>& retry, int attempts);

}  // namespace libtask::wire
