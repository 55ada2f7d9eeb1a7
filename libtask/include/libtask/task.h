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
//   App                                what a program registers, and its main(); most of it is its base, Namespace
//   Context                            the running job, as its handler sees it
//   Task                               the options of a registered task
//   <libtask/options.h>                their values; Retry, Aborted, BadArguments; RetryOptions
//   <libtask/args.h>                   the arguments of a job that a handler defers
//   <libtask/declare.h>                tasks that are declared in a header, for those who defer them too
// What stands in libtask::detail and libtask/detail/ is not for you, and changes without notice.
#pragma once

#include <libtask/args.h>
#include <libtask/declare.h>
#include <libtask/detail/handler.h>
#include <libtask/options.h>
#include <libtask/version.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace libtask {

class Task;

// What a middleware calls in the place of the handler; see Namespace::around().
using Middleware = std::function<void(Context& job, const Handler& next)>;

// Registers tasks whose names begin with a prefix: app.in("dishes").task("wash", …) is dishes.wash. A value that
// refers to its App, which must outlive it: pass it by value to a function of each source file that has tasks.
//
//   void register_dishes(libtask::Namespace dishes) { dishes.task("wash", wash, {"dish"}).queue("kitchen"); }
//   register_dishes(app.in("dishes"));                                                          // in main()
//
// Thread safety: none; register everything in one thread, before App::run().
class Namespace {
 public:
  // Registers a handler that takes Context&, which has the arguments as JSON text; or one that takes nothing,
  // and then a job with arguments fails.
  template <class F>
  Task task(std::string_view name, F handler);

  // Registers a handler that takes one parameter for each name, and may take Context& before them. Needs
  // <libtask/json.h>, which says what types a parameter may have, and what becomes of arguments that do not
  // fit.
  template <class F, std::size_t N>
  Task task(std::string_view name, F handler, const char* const (&parameters)[N]);

  // Registers the handler of a declared task (<libtask/declare.h>), with the options of its declaration, whose name
  // is one of this namespace, without its prefix. The handler takes the declared arguments, and may take Context&
  // before them. Needs <libtask/json.h>, but for a task without arguments.
  template <class F, class... Arguments>
  Task task(const Declaration<Arguments...>& declared, F handler);

  // The supervisor's housekeeper defers a job of a registered task at each tick of `cron`: minute, hour, day
  // of month, month, day of week, and seconds if there is a sixth field; or @daily and the like. A task may
  // have several schedules. See docs/schedules.md. The task's name is one of this namespace, without its prefix.
  void periodic(std::string cron, std::string task, PeriodicOptions options = {});

  // Runs around the handler of every task of this namespace and of those within it, whether it is registered
  // before or after: for timing, tracing, a transaction. `next(job)` runs the handler. What the middleware does
  // decides what becomes of the job, as if it were the handler: it may catch, throw, retry, or not call `next`
  // at all. The first one that is registered is the outermost; those of the App are around those of a namespace.
  void around(Middleware middleware);

  // Runs once in each task process, before its first job (and in `run`, but not for --describe or --list): to
  // open what handlers share. In the order of registration. When it throws, the process ends with status 1
  // before it takes a job, and its sub-worker starts again after a while.
  void set_up(std::function<void()> action);
  // Runs when the task process ends because its sub-worker lets it go, or after `run`, in the reverse order.
  // It has a second. It does not run after a crash, or when the process is killed.
  void tear_down(std::function<void()> action);

  // A namespace within this one. Throws nothing: App::run() reports an empty name.
  Namespace in(std::string_view name) const;

 protected:
  Namespace(detail::Registry& registry, detail::Scope& scope) : registry_(&registry), scope_(&scope) {}

 private:
  Task add(std::string_view name, Handler handler, std::vector<std::string> parameters);

  detail::Registry* registry_;
  detail::Scope* scope_;
};

namespace detail {
// First of App's bases, so that there is a registry for the second one to refer to.
class RegistryOwner {
 protected:
  RegistryOwner();
  ~RegistryOwner();
  std::unique_ptr<Registry> owned_;
};
}  // namespace detail

// The tasks of a program, and its main(). No registration throws for a mistake in it (a name used twice, an
// impossible option): run() reports all mistakes, one line each, and returns 2.
//
// Thread safety: none; one App a program, registered and run by its main thread.
class App : private detail::RegistryOwner, public Namespace {
 public:
  App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // Does what the environment and the arguments ask for, and returns the exit status for main():
  //   served by a sub-worker       0 when it closes the channel, 70 when it does not speak the protocol,
  //                                1 when set_up() has failed
  //   run TASK [JSON]              0 succeeded, 1 failed or aborted, 2 unknown task or unfit arguments
  //   --describe, --list, --help   0
  //   anything else                2, and so is a mistake in the registration
  int run(int argc, char** argv);

 private:
  friend struct detail::AppAccess;
};

// The job that a handler runs, valid until the handler returns.
//
// Thread safety: use it from one thread at a time, but for should_abort(), abort_reason() and stop_token(), which
// any number of threads may call at any time, also while another one uses the rest. Threads that a handler starts have ended when it returns.
class Context {
 public:
  explicit Context(detail::RunningJob& job) : job_(job) {}
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  std::int64_t id() const;          // of the row in procrastinate_jobs; 0 when run by hand
  int attempt() const;              // 1 = the first
  const std::string& task() const;  // as the job has it, which may be an alias of the task
  const std::string& queue() const;
  int priority() const;
  const std::string& lock() const;  // empty = none
  const std::string& args() const;  // JSON text of an object
  // What came beside the arguments, for programs on the way rather than for the handler: who asked, a `traceparent`. JSON text
  // of an object, "{}" when nothing did. Jobs that this job defers get it, too.
  const std::string& meta() const;
  // The id of the job whose handler deferred this one (defer() below); none when an application, a schedule or a person did. That
  // job has succeeded, and may be deleted by now.
  std::optional<std::int64_t> deferred_by() const;
  // The time before which the job could not start: its schedule, or the end of the wait before a retry, by the
  // database's clock. Nothing when it was ready at once.
  std::optional<std::chrono::system_clock::time_point> scheduled_at() const;

  // True once the job should stop: it was aborted, its time is up, or the process has to end. Never blocks,
  // and costs about as much as a system call. After the first true,
  // - a handler that returns, or throws Aborted, has stopped early: its job is no success, and what it
  //   deferred is not created;
  // - a handler that goes on is killed after the group's abort_grace.
  bool should_abort();
  // As of the last should_abort(), or of a stop of the token.
  std::optional<AbortReason> abort_reason() const;
  // For code that waits: stop is requested when should_abort() would become true, whether anybody calls that
  // or not. std::stop_callback(job.stop_token(), …) and on_abort() run their functions in a thread of libtask,
  // which the first call of either starts and the end of the handler joins. That thread blocks all signals.
  // A token that was stopped and a callback that was called count as should_abort() that was true: a handler that
  // returns after it has stopped early, since nobody sees what it made of them.
  std::stop_token stop_token();
  // Calls this once, as soon as the job should stop; at once, if it should already. Not after the handler has
  // ended. What it captures has to outlive the handler, and what it throws ends the process.
  void on_abort(std::function<void(AbortReason)> callback);

  // Before the rest, which is to be done as a whole: throws Aborted when the job should stop by now, and from here on
  // it is told of nothing. should_abort() is false, the token is not stopped, no callback is called, and when the
  // handler returns, the job has succeeded. One that goes on for too long is killed as ever.
  void will_finish();

  // When the time limit is reached, by this host's clock; nothing when there is none.
  std::optional<std::chrono::steady_clock::time_point> deadline() const;
  // The time until then, negative when that has passed.
  std::optional<std::chrono::milliseconds> time_left() const;

  // How far the job is, in units of your own; total 0 = unknown. Of the note, which says what it is about, the first 256 bytes
  // are kept. Call it as often as you like: libtask sends at most ten a second, and the database gets one a second at most, and
  // the last one when the job ends.
  void progress(std::uint64_t done, std::uint64_t total = 0, std::string_view note = {});

  // What the job has come to: any JSON value, kept with the job as long as that is kept. It is stored in the transaction that
  // records this job's success, and not at all when the handler throws; the last call counts. Throws std::length_error when its
  // text has more than 1 MiB, std::invalid_argument when a ToJson of your own has written no JSON.
  void result(const Value& value);

  // A line of the supervisor's log, with the job's id, task and attempt:
  //   job.log(LogLevel::warning, "the server is slow", {{"host", host}, {"ms", 1200}});
  // The text is cut at 8 KiB; more than 16 KiB of fields are left out. It counts against the group's max_output.
  // Waits until the sub-worker has taken it.
  void log(LogLevel level, std::string_view text, const Args& fields = {});

  // Creates a job in the transaction that records this job's success: both happen or neither does, and
  // neither when the handler throws. Throws std::invalid_argument for an empty name or a negative delay,
  // std::length_error when all that this job defers is more than 15 MiB, or a meta more than 8 KiB.
  void defer(std::string_view task, const Args& args = {}, const DeferOptions& options = {});
  // Of a declared task (<libtask/declare.h>): job.defer(wash("plate", 2).lock("sink")). Its schedule_in counts from this
  // job's success. While a job waits under its queueing lock, that one stands for it, as with OnConflict::keep; throws
  // std::invalid_argument for OnConflict::replace and for schedule_at(), which only a client has.
  void defer(const NewJob& job);

  // Ends the handler: they throw Retry. The job runs again after this time, or at this one (by this host's
  // clock; at once when it has passed). They throw std::invalid_argument for changes that cannot be (RetryChanges).
  [[noreturn]] void retry_in(std::chrono::duration<double> wait, std::string reason = {},
                             RetryChanges changes = {});
  [[noreturn]] void retry_at(std::chrono::system_clock::time_point when, std::string reason = {},
                             RetryChanges changes = {});

 private:
  detail::RunningJob& job_;
};

// A registered task, to give it options: app.task(…).queue("kitchen").priority(5). The App must outlive it.
//
// Thread safety: as of Namespace.
class Task {
 public:
  explicit Task(detail::TaskEntry& entry) : entry_(&entry) {}

  // Queue, priority and locks are of jobs that Context::defer() and schedules create: other clients name them
  // themselves. The rest counts for every job of the task.

  // Jobs of this task wait in this queue; without it in "default".
  Task queue(std::string name);
  // Jobs with a higher priority run first; without it, 0.
  Task priority(int priority);
  // Jobs with the same lock run one at a time, in order. "" = none.
  Task lock(std::string lock);
  // No two jobs with the same queueing lock can wait at the same time. "" = none.
  Task queueing_lock(std::string lock);

  // Jobs that were deferred under this name, the whole of it, are jobs of this task, too: for a task that has
  // another name now while jobs wait. May be given several times.
  Task alias(std::string name);
  // A job that runs for so long should abort, and is killed after the group's abort_grace; without it the
  // group's time_limit holds.
  Task time_limit(std::chrono::milliseconds limit);
  // A task process that is larger than this (resident memory, with all that it has started) while a job of this
  // task runs is killed. The smaller of this and the group's memory_limit holds.
  Task memory_limit(std::int64_t bytes);
  // So many jobs of this task run at a time under one supervisor, whichever of its sub-workers run them; the others wait
  // meanwhile, and jobs of other tasks run. Where the executables of two groups say different things of a task, the smallest
  // number holds for both. At least 1.
  Task concurrency_limit(int jobs);
  // Each job of this task has a task process of its own, fresh before it and replaced after it: for tasks that
  // leave a mess behind. Costs the start of a process for each job.
  Task fresh_process();
  // A failed job runs again; without it a failure is final.
  Task retry(RetryOptions options);

 private:
  detail::TaskEntry* entry_;
};

template <class F>
Task Namespace::task(std::string_view name, F handler) {
  return add(name, detail::untyped(std::move(handler)), {});
}

template <class F, std::size_t N>
Task Namespace::task(std::string_view name, F handler, const char* const (&parameters)[N]) {
  static_assert(detail::Defined<detail::TypedHandler<F, N>>,
                "typed parameters need #include <libtask/json.h>");
  return add(name, detail::TypedHandler<F, N>(std::move(handler), parameters),
             {std::begin(parameters), std::end(parameters)});
}

template <class F, class... Arguments>
Task Namespace::task(const Declaration<Arguments...>& declared, F handler) {
  const auto with_options = [&declared](Task task) {
    return task.queue(std::string(declared.queue()))
        .priority(declared.priority())
        .lock(std::string(declared.lock()))
        .queueing_lock(std::string(declared.queueing_lock()));
  };
  if constexpr (sizeof...(Arguments) == 0) {
    return with_options(add(declared.task(), detail::untyped(std::move(handler)), {}));
  } else {
    static_assert(detail::Defined<detail::DeclaredHandler<F, Arguments...>>,
                  "arguments that are declared need #include <libtask/json.h>");
    return with_options(add(declared.task(),
                            detail::DeclaredHandler<F, Arguments...>(std::move(handler), declared),
                            {declared.names().begin(), declared.names().end()}));
  }
}

}  // namespace libtask
