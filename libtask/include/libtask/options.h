// The values that <libtask/task.h> takes: how a handler ends other than by returning, and the options of tasks,
// schedules and deferred jobs. All of them are plain values: copy them as you like, and share none between
// threads that change it.
#pragma once

#include <libtask/args.h>
#include <libtask/detail/matching.h>

#include <chrono>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace libtask {

// ----------------------------------------------------------------------------------------------------
// How a handler ends other than by returning. Any exception is a failure; these say more. Aborted and Retry are
// no std::exception, so that a `catch (const std::exception&)` around a part of a handler does not take them for
// an error.

// The job ends as aborted. For a handler that stops because should_abort() is true.
struct Aborted {};

// What a retry that a handler asks for changes in the job; nothing = what the task's RetryOptions say. A queue has 1 to 128
// characters, a lock 1 to 2000 bytes, both in UTF-8. A lock may be changed into another one, and not taken away.
struct RetryChanges {
  std::optional<int> priority{};
  std::optional<std::string> queue{};
  std::optional<std::string> lock{};
  // Does this attempt count against RetryOptions::max_attempts? If it does, and none is left, the job has
  // failed. A task without max_attempts has no limit.
  bool counts = true;
};

// The job runs again after this time, whatever waits the task's retry options have. Context::retry_in() and
// Context::retry_at() throw it. One with changes that cannot be is a std::invalid_argument instead.
struct Retry {
  std::chrono::duration<double> in{0};
  std::string reason{};  // stands in the log, and with the attempt
  RetryChanges changes{};
};

// The arguments cannot be used. The job is not retried as its task says, because the same arguments would fail
// again: what becomes of it, the group's bad_arguments says.
class BadArguments : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

// ----------------------------------------------------------------------------------------------------
// What a handler asks, and tells

enum class AbortReason {
  requested,   // by `postpone jobs cancel --abort`, by an SQL client, or by Ctrl-C where it runs by hand
  time_limit,  // the job has used up its time
  shutdown,    // the process has to end
};

enum class LogLevel { debug, info, warning, error };

// What of a deferred job differs from its task's options. A task of the same App has the options that it was
// registered with; any other has the queue "default", priority 0 and no locks.
struct DeferOptions {
  std::optional<std::string> queue{};
  std::optional<int> priority{};
  std::optional<std::string> lock{};           // "" = none, even if the task has one
  std::optional<std::string> queueing_lock{};  // likewise
  std::chrono::microseconds delay{0};          // the deferred job starts so long after this job's success
  std::optional<Args> meta{};                  // else it gets that of this job; {} = none
};

// ----------------------------------------------------------------------------------------------------
// What a registration takes

using ExceptionMatcher = bool (*)(const std::exception_ptr&);

// These types, all that derive from them, and exceptions in which one of them is nested (std::nested_exception):
//   .retry({.on = libtask::exceptions<NetworkError, std::system_error>()})
template <class... Exceptions>
std::vector<ExceptionMatcher> exceptions() {
  return {&detail::is_a<Exceptions>...};
}

// When and how a failed job runs again. The wait before the next attempt, with n attempts made before the one
// that failed, is
//   wait + linear_wait * n + exponential_wait ^ (n + 1)    in seconds, as with Procrastinate,
// then at most max_wait, and then made up to `jitter` shorter or longer by chance.
struct RetryOptions {
  // Counts retries: a job that was retried so often is not retried again, so it runs at most max_attempts + 1
  // times. Nothing = no limit.
  std::optional<int> max_attempts{};
  std::chrono::duration<double> wait{0};
  std::chrono::duration<double> linear_wait{0};
  std::chrono::duration<double> exponential_wait{0};        // its count of seconds is the base; 0 = none
  std::optional<std::chrono::duration<double>> max_wait{};  // nothing = a year
  double jitter = 0;                   // from 0 to 1; 0.25: the wait is a quarter shorter or longer at most
  std::vector<ExceptionMatcher> on{};  // only for these exceptions; empty = for all
  bool on_crash = true;                // after a crash and after a passed time limit, too
  // What a retry changes, as in RetryChanges:
  std::optional<int> priority{};
  std::optional<std::string> queue{};
  std::optional<std::string> lock{};
};

// What becomes of the ticks of a schedule that passed while no supervisor kept time.
enum class Missed {
  skip,  // nothing
  last,  // a job is deferred for the last of them
  all,   // a job is deferred for each of them, oldest first; the last hundred, when there are more
};

struct PeriodicOptions {
  Args args{};       // of each job; a "timestamp" is added, the unix seconds of the tick
  std::string id{};  // different for each of several schedules of one task
  // Whose clocks the fields mean: "Europe/Paris". docs/schedules.md says what happens where clocks change.
  std::string zone = "UTC";
  Missed missed = Missed::last;
  std::chrono::seconds missed_within{24 * 3600};  // ticks that were missed longer ago are gone
};

}  // namespace libtask
