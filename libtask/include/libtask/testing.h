// Unit tests of handlers, without a database and without a sub-worker. Standard library only.
//
//   auto outcome = libtask::testing::run(app, "dishes.wash", {{"dish", "plate"}, {"times", 2}});
//   EXPECT_EQ(outcome.status, libtask::testing::Status::succeeded) << outcome;
//
//   libtask::testing::Harness harness(app);
//   harness.defer("dishes.wash", {{"dish", "plate"}, {"times", 2}});
//   harness.work();        // the job, and the jobs that it defers
//   harness.advance(1h);   // those that are due within the hour
//
// A handler runs in the process of the test, by the code that runs it in a task process: its arguments are
// read as strictly, and what it throws, defers or reports has the same effect on the job. With one exception: a job
// whose arguments the handler cannot use, or whose task is not there, has failed at once, as with bad_arguments and
// unknown_task = "fail" of a group. By default a group tries it again for some minutes, since a newer program may be
// on its way. What a sub-worker does around it is not here: it kills a job that does not obey, survives a crash, limits
// memory and output. docs/testing.md has more.
//
// Thread safety: Clock may be used by any thread, all else by one at a time. run() and Harness put the standard
// output of the whole process elsewhere while a handler runs.
#pragma once

#include <libtask/task.h>

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iosfwd>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace libtask::testing {

// ----------------------------------------------------------------------------------------------------
// What is run

using TimePoint = std::chrono::sys_time<std::chrono::microseconds>;

// A clock that stands still until it is told to go on. Thread-safe.
class Clock {
 public:
  explicit Clock(TimePoint start = std::chrono::sys_days(std::chrono::year(2026) / 1 / 1))
      : since_1970_us_(start.time_since_epoch().count()) {}

  TimePoint now() const { return TimePoint(std::chrono::microseconds(since_1970_us_)); }
  void advance(std::chrono::microseconds time) { since_1970_us_ += time.count(); }

 private:
  std::atomic<std::int64_t> since_1970_us_;
};

// A task and arguments for it: names and values, an nlohmann::json (with <libtask/json.h>), or JSON text.
// Throws std::invalid_argument for a text that is no JSON object.
struct Call {
  // Not explicit, so that {"dishes.wash", {{"dish", "plate"}}} is a Call.
  Call(std::string_view name, Args arguments = {})  // NOLINT(google-explicit-constructor)
      : task(name), args(std::move(arguments)) {}
  template <class Text>
  requires std::convertible_to<const Text&, std::string_view> Call(std::string_view name, const Text& json)
      : task(name), args(Args::from_text(std::string(std::string_view(json)))) {}

  // From what a client defers, and a declared task makes: wash("plate", 2).
  template <class NewJob>
  requires requires(const NewJob& job) {
    { job.task() } -> std::convertible_to<std::string_view>;
    { job.args() } -> std::convertible_to<const Args&>;
  }
  Call(const NewJob& job) : Call(job.task(), job.args()) {}  // NOLINT(google-explicit-constructor)

  std::string task;
  Args args;
};

struct Options {
  std::int64_t id = 1;
  int attempt = 1;    // 1 = the first
  int uncounted = 0;  // so many attempts before this one do not count against max_attempts
  std::optional<TimePoint> scheduled_at{};
  // should_abort() is true when so much time has passed, or from its so-many-th call on (1 = the first one).
  std::optional<std::chrono::microseconds> abort_after{};
  std::optional<int> abort_at_look{};
  AbortReason abort_reason = AbortReason::requested;
  // By this clock the time limit and abort_after pass, and a retry is due; nothing = by the system's. The
  // handler, or what it calls, may advance it.
  Clock* clock = nullptr;
  // As the task was registered, where they are not set.
  std::optional<std::string> queue{};
  std::optional<int> priority{};
  std::optional<std::string> lock{};  // "" = none
  Args meta{};                        // what comes beside the arguments
  std::optional<std::int64_t> deferred_by{};
  // What the process writes to stdout and stderr while the handler runs becomes Outcome::log, and then is
  // written where it was meant to go. A crash loses it: false leaves it alone.
  bool capture_output = true;
};

// ----------------------------------------------------------------------------------------------------
// What became of it

// A job's status, as `postpone jobs show` names it. After a run, todo: it waits again, see Outcome::retry.
enum class Status { todo, doing, succeeded, failed, aborted };

// Why the run ended, as `postpone jobs show` names it.
enum class Cause { succeeded, exception, bad_arguments, unknown_task, timed_out, aborted, superseded };

struct Exception {
  std::string type;     // "std::runtime_error"; "libtask::Retry" where the handler asked for a retry
  std::string message;  // with those of nested exceptions: "…; caused by: …"
};

// When the job runs again, and what changes then, by the task's retry strategy or by libtask::Retry.
struct NextAttempt {
  std::chrono::microseconds in{0};
  TimePoint at{};  // by the clock of the run
  std::optional<int> priority{};
  std::optional<std::string> queue{};
  std::optional<std::string> lock{};
  bool counts = true;  // the attempt that has ended counts against max_attempts
};

// A job that the handler deferred. Only a success creates it.
struct Deferred {
  std::string task;
  std::string args;  // JSON text, as Args::text() makes it
  std::string queue;
  int priority = 0;
  std::optional<std::string> lock{};
  std::optional<std::string> queueing_lock{};
  std::chrono::microseconds delay{0};
  std::optional<std::string>
      meta{};  // JSON text of an object, "{}" = none; nothing = that of the job that defers it
};

struct Progress {
  std::uint64_t done = 0;
  std::uint64_t total = 0;  // 0 = unknown
  std::string note{};
};

// What the handler has said by Context::log().
struct Logged {
  LogLevel level = LogLevel::info;
  std::string text;
  std::string fields = "{}";  // JSON text of an object
};

struct LogLine {
  std::string stream;  // "stdout" or "stderr"
  std::string text;
};

struct Outcome {
  Status status = Status::succeeded;
  Cause cause = Cause::succeeded;
  std::string message{};                 // why; empty after a success
  std::optional<Exception> exception{};  // with Cause::exception
  std::optional<NextAttempt> retry{};    // with Status::todo
  std::vector<Deferred> defers{};
  std::optional<std::string> result{};  // JSON text: what a handler that succeeded has given back
  std::optional<Progress> progress{};   // the last that the handler reported
  std::vector<Logged> logs{};
  std::vector<LogLine> log{};  // stdout first: which line came before one of stderr is not known
};

std::string_view to_string(Status status);
std::string_view to_string(Cause cause);
std::ostream& operator<<(std::ostream& stream, Status status);
std::ostream& operator<<(std::ostream& stream, Cause cause);
// In one line: "todo (exception): std::runtime_error: no towel; retry in 2 s".
std::ostream& operator<<(std::ostream& stream, const Outcome& outcome);

// ----------------------------------------------------------------------------------------------------

// Runs the handler of a task of `app` once, here and now. All that a handler does wrong is in the outcome.
// What the App sets up and tears down for a task process is set up before it and torn down after it. Throws
// std::logic_error when App::run() would refuse the program for its registration, std::runtime_error when the
// set-up fails (a line on stderr says why), std::system_error when its output cannot be captured.
Outcome run(const App& app, const Call& call, const Options& options = {});

inline Outcome run(const App& app, std::string_view task, const Args& args = {},
                   const Options& options = {}) {
  return run(app, Call(task, args), options);
}
template <class Text>
requires std::convertible_to<const Text&, std::string_view> Outcome run(const App& app, std::string_view task,
                                                                        const Text& json,
                                                                        const Options& options = {}) {
  return run(app, Call(task, json), options);
}

// ----------------------------------------------------------------------------------------------------
// Jobs that lead to others

using JobId = std::int64_t;

// A job that the harness keeps, as the database would.
struct Job {
  JobId id = 0;
  std::string task;
  std::string args;         // JSON text
  std::string meta = "{}";  // likewise
  std::string queue;
  int priority = 0;
  std::optional<std::string> lock{};
  std::optional<std::string> queueing_lock{};
  std::optional<TimePoint> scheduled_at{};
  Status status = Status::todo;
  int attempts = 0;                    // how many runs have ended
  int uncounted = 0;                   // so many of them do not count against max_attempts
  std::vector<Outcome> outcomes{};     // of each of them
  std::optional<JobId> deferred_by{};  // the job whose handler has; nothing = the test
};

// Another job with this queueing lock waits.
class AlreadyEnqueued : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The jobs of a test, kept in memory and worked off by a clock of its own, one after the other: of those that
// can run the one with the highest priority, then the oldest. Locks, queueing locks, scheduled times and
// retries hold as in the database. All queues are served; schedules (App::periodic()) do not tick.
class Harness {
 public:
  // The App must outlive it, and may get its tasks later. More than `most_runs` in all are an error: a chain
  // of jobs or retries that never ends would hang the test.
  explicit Harness(const App& app, TimePoint start = Clock().now(), int most_runs = 1000);
  ~Harness();
  Harness(const Harness&) = delete;
  Harness& operator=(const Harness&) = delete;

  // Creates a job, as Context::defer() does: a task of the App has the options that it was registered with.
  // Throws AlreadyEnqueued, and what Context::defer() throws.
  JobId defer(const Call& call, const DeferOptions& options = {});
  JobId defer(std::string_view task, const Args& args = {}, const DeferOptions& options = {}) {
    return defer(Call(task, args), options);
  }
  // As a client does: with the options of the job, whose schedule_at() is a time of clock(). With OnConflict::keep it returns the
  // job that waits. Throws std::invalid_argument for OnConflict::replace.
  JobId defer(const NewJob& job);

  // Each of these returns how many runs there were. They throw std::runtime_error beyond `most_runs`, in words
  // that name the last tasks, and what run() throws.

  // Until no job can run now.
  int work();
  // work(), then lets the time pass, and works at each moment in it at which a job becomes due.
  int advance(std::chrono::microseconds time);
  // Until no job waits: the clock goes on to the next moment at which a job is due, again and again.
  int work_off();

  // Handlers may be given this clock, and may advance it.
  Clock& clock();

  // Throws std::out_of_range for an id that defer() has not returned.
  const Job& job(JobId id) const;
  const std::deque<Job>& jobs() const;           // by id; the first is 1
  const std::vector<JobId>& runs() const;        // which jobs ran, one after the other
  std::vector<JobId> with(Status status) const;  // by id

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace libtask::testing
