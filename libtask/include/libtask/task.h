// The library for task executables. Needs the standard library only; <libtask/json.h> adds typed parameters.
//
//   int main(int argc, char** argv) {
//     libtask::App app;
//     app.task("report.build", [](libtask::Context& job) {
//       while (more() && !job.should_abort()) job.progress(done, total);
//       job.defer("mail.send", {{"to", who}});
//     }).queue("reports").time_limit(5min).retry({.max_attempts = 3, .linear_wait = 10s});
//     return app.run(argc, argv);
//   }
//
// The program is a task executable. A sub-worker of Postpone starts it and lets it serve many jobs, one at a
// time. By hand, `./program run report.build '{}'` runs one job without a database. See docs/tasks.md.
//
// A handler may do what a program may do: throw, take long, write to stdout and stderr, start children,
// crash. Delivery is at least once: when a process or a host dies in the middle of a job, the handler may be
// run again for the same job.
//
// In the order in which you are likely to need it:
//   App, at the end of this file     what a program registers, and its main()
//   Context                          the running job, as its handler sees it
//   Task, with RetryOptions          the options of a registered task
//   Aborted, Retry, BadArguments     how a handler ends other than by returning
//   Args, in <libtask/args.h>        the arguments of a job that a handler defers
//   declare(), in <libtask/declare.h>  tasks that are declared in a header, for those who defer them too
#pragma once

#include <libtask/args.h>
#include <libtask/declare.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

namespace libtask {

// ----------------------------------------------------------------------------------------------------
// How a handler ends other than by returning. Any exception is a failure; these say more.

// The job ends as aborted. For a handler that stops because should_abort() is true.
struct Aborted {};

// The job runs again after this time, whatever the task's retry options say.
struct Retry {
  std::chrono::duration<double> in{0};
  std::string reason{};
};

// The arguments cannot be used. The job fails at once and is not retried, because the same arguments would
// fail again.
class BadArguments : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

// ----------------------------------------------------------------------------------------------------
// The running job

enum class AbortReason {
  requested,   // by `postpone jobs cancel --abort`, by an SQL client, or by Ctrl-C where it runs by hand
  time_limit,  // the job has used up its time
  shutdown,    // the process has to end
};

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

namespace detail {
class RunningJob;
struct Registry;
struct TaskEntry;
struct AppAccess;
}  // namespace detail

// The job that a handler runs, valid until the handler returns. Use it from one thread at a time.
class Context {
 public:
  explicit Context(detail::RunningJob& job) : job_(job) {}
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  std::int64_t id() const;  // of the row in procrastinate_jobs; 0 when run by hand
  int attempt() const;      // 1 = the first
  const std::string& task() const;
  const std::string& queue() const;
  int priority() const;
  const std::string& lock() const;  // empty = none
  const std::string& args() const;  // JSON text of an object
  // What came beside the arguments, for programs on the way rather than for the handler: who asked, a `traceparent`. JSON text
  // of an object, "{}" when nothing did. Jobs that this job defers get it, too.
  const std::string& meta() const;

  // True once the job should stop: it was aborted, its time is up, or the process has to end. Never blocks,
  // and costs about as much as a system call. After the first true,
  // - a handler that returns, or throws Aborted, has stopped early: its job is no success, and what it
  //   deferred is not created;
  // - a handler that goes on is killed after the group's abort_grace.
  bool should_abort();
  std::optional<AbortReason> abort_reason() const;  // as of the last should_abort()

  // The time until the time limit, negative when that has passed; nothing when there is none.
  std::optional<std::chrono::milliseconds> time_left() const;

  // How far the job is, in units of your own; total 0 = unknown. Of the note, which says what it is about, the first 256 bytes
  // are kept. Call it as often as you like: libtask sends at most ten a second, and the database gets one a second at most, and
  // the last one when the job ends.
  void progress(std::uint64_t done, std::uint64_t total = 0, std::string_view note = {});

  // What the job has come to: any JSON value, kept with the job as long as that is kept. It is stored in the transaction that
  // records this job's success, and not at all when the handler throws; the last call counts. Throws std::length_error when its
  // text has more than 1 MiB, std::invalid_argument when a ToJson of your own has written no JSON.
  void result(const Value& value);

  // Creates a job in the transaction that records this job's success: both happen or neither does, and
  // neither when the handler throws. Throws std::invalid_argument for an empty name or a negative delay,
  // std::length_error when all that this job defers is more than 15 MiB, or a meta more than 8 KiB.
  void defer(std::string_view task, const Args& args = {}, const DeferOptions& options = {});

 private:
  detail::RunningJob& job_;
};

using Handler = std::function<void(Context&)>;

// ----------------------------------------------------------------------------------------------------
// Tasks and their options

using ExceptionMatcher = bool (*)(const std::exception_ptr&);

namespace detail {
template <class Exception>
bool is_a(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Exception&) {
    return true;
  } catch (...) {
    return false;
  }
}
}  // namespace detail

// These types, and all that derive from them:
//   .retry({.on = libtask::exceptions<NetworkError, std::system_error>()})
template <class... Exceptions>
std::vector<ExceptionMatcher> exceptions() {
  return {&detail::is_a<Exceptions>...};
}

// When and how a failed job runs again. The wait before the next attempt, with n attempts made before the one
// that failed, is
//   wait + linear_wait * n + exponential_wait ^ (n + 1)    in seconds, as with Procrastinate.
struct RetryOptions {
  std::optional<int> max_attempts{};  // so many retries, then the failure is final; nothing = no limit
  std::chrono::duration<double> wait{0};
  std::chrono::duration<double> linear_wait{0};
  std::chrono::duration<double> exponential_wait{0};  // its count of seconds is the base; 0 = none
  std::vector<ExceptionMatcher> on{};                 // only for these exceptions; empty = for all
  bool on_crash = true;                               // after a crash and after a passed time limit, too
  // What a retry changes:
  std::optional<int> priority{};
  std::optional<std::string> queue{};
  std::optional<std::string> lock{};
};

// A registered task, to give it options: app.task(…).queue("kitchen").priority(5). The App must outlive it.
class Task {
 public:
  explicit Task(detail::TaskEntry& entry) : entry_(&entry) {}

  // Jobs of this task wait in this queue; without it in "default".
  Task queue(std::string name);
  // Jobs with a higher priority run first; without it, 0.
  Task priority(int priority);
  // Jobs with the same lock run one at a time, in order. "" = none.
  Task lock(std::string lock);
  // No two jobs with the same queueing lock can wait at the same time. "" = none.
  Task queueing_lock(std::string lock);
  // A job that runs for so long should abort, and is killed after the group's abort_grace; without it the
  // group's time_limit holds.
  Task time_limit(std::chrono::milliseconds limit);
  // A failed job runs again; without it a failure is final.
  Task retry(RetryOptions options);

 private:
  detail::TaskEntry* entry_;
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

namespace detail {

// Throws BadArguments when the job has an argument (but "timestamp", which periodic jobs carry).
void expect_no_arguments(const Context& job);

// "std::runtime_error" for typeid(std::runtime_error).
std::string type_name(const std::type_info& type);

// Defined in <libtask/json.h>.
template <class F, std::size_t N>
struct TypedHandler;
template <class F, class... Arguments>
struct DeclaredHandler;

template <class T>
concept Defined = requires {
  sizeof(T);
};

template <class>
inline constexpr bool kNever = false;

template <class F>
Handler untyped(F handler) {
  if constexpr (std::is_invocable_v<F&, Context&>) {
    static_assert(std::is_void_v<std::invoke_result_t<F&, Context&>>,
                  "a handler returns void, and reports a failure by an exception");
    return handler;
  } else if constexpr (std::is_invocable_v<F&>) {
    static_assert(std::is_void_v<std::invoke_result_t<F&>>,
                  "a handler returns void, and reports a failure by an exception");
    return [handler = std::move(handler)](Context& job) mutable {
      expect_no_arguments(job);
      handler();
    };
  } else {
    static_assert(kNever<F>,
                  "a handler takes libtask::Context&, or nothing, or parameters whose names follow it: "
                  "app.task(\"dishes.wash\", handler, {\"dish\", \"times\"})");
  }
}

}  // namespace detail

// ----------------------------------------------------------------------------------------------------

// The tasks of a program, and its main(). No registration throws for a mistake in it (a name used twice, an
// impossible option): run() reports all mistakes, one line each, and returns 2.
class App {
 public:
  App();
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // Registers a handler that takes Context&, which has the arguments as JSON text; or one that takes nothing,
  // and then a job with arguments fails.
  template <class F>
  Task task(std::string_view name, F handler) {
    return add(name, detail::untyped(std::move(handler)), {});
  }

  // Registers a handler that takes one parameter for each name, and may take Context& before them. Needs
  // <libtask/json.h>, which says what types a parameter may have, and what becomes of arguments that do not
  // fit.
  template <class F, std::size_t N>
  Task task(std::string_view name, F handler, const char* const (&parameters)[N]) {
    static_assert(detail::Defined<detail::TypedHandler<F, N>>,
                  "typed parameters need #include <libtask/json.h>");
    return add(name, detail::TypedHandler<F, N>(std::move(handler), parameters),
               {std::begin(parameters), std::end(parameters)});
  }

  // Registers the handler of a declared task (<libtask/declare.h>), with the options of its declaration. The
  // handler takes the declared arguments, and may take Context& before them. Needs <libtask/json.h>, but for
  // a task without arguments.
  template <class F, class... Arguments>
  Task task(const Declaration<Arguments...>& declared, F handler) {
    if constexpr (sizeof...(Arguments) == 0) {
      return with_options_of(declared, add(declared.task(), detail::untyped(std::move(handler)), {}));
    } else {
      static_assert(detail::Defined<detail::DeclaredHandler<F, Arguments...>>,
                    "arguments that are declared need #include <libtask/json.h>");
      return with_options_of(
          declared,
          add(declared.task(), detail::DeclaredHandler<F, Arguments...>(std::move(handler), declared),
              {declared.names().begin(), declared.names().end()}));
    }
  }

  // The supervisor's housekeeper defers a job of a registered task at each tick of `cron`: minute, hour, day
  // of month, month, day of week, and seconds if there is a sixth field; or @daily and the like. A task may
  // have several schedules. See docs/schedules.md.
  void periodic(std::string cron, std::string task, PeriodicOptions options = {});

  // Does what the environment and the arguments ask for, and returns the exit status for main():
  //   served by a sub-worker       0 when it closes the channel, 70 when it does not speak the protocol
  //   run TASK [JSON]              0 succeeded, 1 failed or aborted, 2 unknown task or unfit arguments
  //   --describe, --list, --help   0
  //   anything else                2, and so is a mistake in the registration
  int run(int argc, char** argv);

 private:
  friend struct detail::AppAccess;
  Task add(std::string_view name, Handler handler, std::vector<std::string> parameters);
  template <class... Arguments>
  static Task with_options_of(const Declaration<Arguments...>& declared, Task task) {
    return task.queue(std::string(declared.queue()))
        .priority(declared.priority())
        .lock(std::string(declared.lock()))
        .queueing_lock(std::string(declared.queueing_lock()));
  }

  std::unique_ptr<detail::Registry> registry_;
};

}  // namespace libtask
