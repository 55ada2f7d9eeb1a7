// What becomes of a job after a run, by what its task process says and by its task's retry strategy: pure
// functions, to which chance is an argument. Sub-workers decide by them; a run by hand and <libtask/testing.h> say
// by them what a sub-worker would decide.
//
//   attempts of a job        uncounted ones: interrupted by us; what the handler said; the program did not fit
//                            counted ones: all others
//   may have so many         what a person has granted (`jobs retry --attempts`); else max_attempts of the task and
//                            one more; else any number
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
  bool counts = true;       // the attempt is a counted one
  bool is_used_up = false;  // with `fail`: the handler asked for a retry, and no attempt is left
};

// What of a job decides besides its last result. Attempts are those before the one that has just ended.
struct Past {
  int attempts = 0;              // counted ones
  std::optional<int> allowed{};  // so many counted ones in all, which a person has granted
  int misfits = 0;               // so many in a row, up to the last one, in which the program did not fit
};

// What happens to a job that its program does not fit. A newer program may be on its way, so by default a group retries
// both. The default here is a group's "fail", by which a run by hand and <libtask/testing.h> judge: the program that they
// run is the one that they are about.
struct MisfitPolicy {
  bool retries_unknown_task = false;
  bool retries_bad_arguments = false;
};

inline constexpr int kMostMisfits = 5;

// May the job, whose attempt has just failed, have another one?
bool has_attempts_left(const std::optional<RetryStrategy>& strategy, const Past& past);

// How long a job waits before its next attempt. `attempts` counts the counted ones before the one that just failed.
// The rule is Procrastinate's, with a bound and with jitter: see RetryStrategy. `chance` lies in [0, 1); with 0.5
// there is no jitter. Waits longer than a year are cut to one.
std::chrono::duration<double> retry_wait(const RetryStrategy& strategy, int attempts, double chance = 0.5);

// How long a job waits that its program does not fit: it does not have the task, or the handler cannot use the
// arguments. 10 s, twice as long each time, give or take a quarter; nothing after kMostMisfits in a row, which takes
// about five minutes.
std::optional<std::chrono::duration<double>> misfit_wait(int misfits, double chance);

// After a crash, and after a time limit that has passed.
Verdict after_crash(const std::optional<RetryStrategy>& retry, const Past& past, double chance = 0.5);

// After a run, or an attempt without one, in which the program did not fit. `waits`: the policy is to retry.
Verdict after_misfit(bool waits, const Past& past, double chance = 0.5);

// After a result.
Verdict judge(const Result& result, const std::optional<RetryStrategy>& retry, const Past& past,
              const MisfitPolicy& policy = {}, double chance = 0.5);

}  // namespace libtask::wire
