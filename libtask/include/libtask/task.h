// What a task author writes against. Needs the standard library only; <libtask/json.h> adds typed parameters.
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
// time; by hand,
// `./program run report.build '{}'` runs one job without a database. See docs/tasks.md.
//
// A handler may do what a program may do: throw, take long, write to stdout and stderr, start children,
// crash. Delivery is at least once: a handler whose process or host dies may be run again for the same job.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <map>
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

// ---------------------------------------------------------------------------------------------------------------------
// Arguments of a job that is to be deferred

namespace detail {
std::string json_text(std::string_view text);  // quoted and escaped
std::string json_number(double number);

// what(), which is an author's to write; empty when it returns no text at all.
std::string what_of(const std::exception& error);
}  // namespace detail

// How a C++ value is written as JSON: static std::string text(const T&). To pass a type of your own in Args,
// specialise it.
template <class T>
struct ToJson;

template <class T>
concept JsonWritable = requires(const T& value) {
  { ToJson<T>::text(value) } -> std::same_as<std::string>;
};

class Value;
class Args;

template <>
struct ToJson<Value> {
  static std::string text(const Value& value);
};

template <>
struct ToJson<Args> {
  static std::string text(const Args& args);
};

template <>
struct ToJson<std::nullptr_t> {
  static std::string text(std::nullptr_t) { return "null"; }
};

template <>
struct ToJson<bool> {
  static std::string text(bool value) { return value ? "true" : "false"; }
};

// Character types are left out: whether 'a' is a text or a number is not for a library to guess.
template <std::integral T>
requires(!std::same_as<T, bool> && !std::same_as<T, char> && !std::same_as<T, wchar_t> &&
         !std::same_as<T, char8_t> && !std::same_as<T, char16_t> &&
         !std::same_as<T, char32_t>) struct ToJson<T> {
  static std::string text(T value) { return std::to_string(value); }
};

template <std::floating_point T>
struct ToJson<T> {
  static std::string text(T value) { return detail::json_number(static_cast<double>(value)); }
};

template <class T>
requires std::convertible_to<const T&, std::string_view>
struct ToJson<T> {
  static std::string text(const T& value) { return detail::json_text(value); }
};

template <JsonWritable T>
struct ToJson<std::optional<T>> {
  static std::string text(const std::optional<T>& value) { return value ? ToJson<T>::text(*value) : "null"; }
};

template <JsonWritable T>
struct ToJson<std::vector<T>> {
  static std::string text(const std::vector<T>& values) {
    std::string list;
    for (const auto& value : values) list.append(list.empty() ? "" : ",").append(ToJson<T>::text(value));
    return "[" + list + "]";
  }
};

template <JsonWritable T>
struct ToJson<std::map<std::string, T>> {
  static std::string text(const std::map<std::string, T>& values) {
    std::string list;
    for (const auto& [name, value] : values) {
      list.append(list.empty() ? "" : ",").append(detail::json_text(name) + ":" + ToJson<T>::text(value));
    }
    return "{" + list + "}";
  }
};

struct Member;

// A JSON value, made from nullptr, bool, a number, a text, a std::optional, std::vector or
// std::map<std::string, …> of those (std::vector<Value> for a mixed list), a braced list of names and values,
// Args, or any type with a ToJson. Throws std::invalid_argument for what JSON in PostgreSQL cannot hold: a
// text that is not UTF-8 or has a NUL, NaN, infinity.
class Value {
 public:
  template <class T>
  requires(JsonWritable<T> && !std::same_as<T, Value>) Value(const T& value)
      : text_(ToJson<T>::text(value)) {}
  Value(std::initializer_list<Member> object);

  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// A name and its value, as in {"to", who}.
struct Member {
  std::string_view name;
  Value value;
};

// The arguments of a job, a JSON object: {{"to", who}, {"sizes", std::vector{1, 2}}, {"from", {{"name",
// "Ada"}}}}.
class Args {
 public:
  Args() : text_("{}") {}
  Args(std::initializer_list<Member> members);
  // From a type whose ToJson writes objects (nlohmann::json with <libtask/json.h>). Throws
  // std::invalid_argument when the text is not a JSON object.
  template <class T>
  requires(JsonWritable<T>&& std::is_class_v<T> && !std::same_as<T, Args>) Args(const T& value)
      : Args(from_text(ToJson<T>::text(value))) {}

  // From JSON text. Throws std::invalid_argument, which says at which byte, when it is not a JSON object.
  static Args from_text(std::string json);

  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// ---------------------------------------------------------------------------------------------------------------------
// How a handler ends other than by returning: any exception is a failure, these say more

// The job ends as aborted: thrown by a handler that stops because should_abort() told it to.
struct Aborted {};

// The job is to be run again after this time, whatever the task's retry options say.
struct Retry {
  std::chrono::duration<double> in{0};
  std::string reason{};
};

// The arguments cannot be used: the job fails at once and is not retried, because the same arguments would
// fail again.
class BadArguments : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

// ---------------------------------------------------------------------------------------------------------------------
// The running job

enum class AbortReason {
  requested,   // somebody asked for this job to be aborted (postpone jobs cancel --abort; Ctrl-C when run by
               // hand)
  time_limit,  // the job has used up its time
  shutdown,    // the process is to end
};

// What may differ from the deferred task's own options. A task of the same App has those it was registered
// with; any other has the queue "default", priority 0 and no locks.
struct DeferOptions {
  std::optional<std::string> queue{};
  std::optional<int> priority{};
  std::optional<std::string> lock{};           // "" = none, even if the task has one
  std::optional<std::string> queueing_lock{};  // likewise
  std::chrono::microseconds delay{0};          // not before so long after this job's success
};

namespace detail {
class RunningJob;
struct Registry;
struct TaskEntry;
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

  // True once the job should stop: it was aborted, its time is up, or the process is to end. Never blocks and
  // costs about as much as a system call. A handler that goes on is killed after a grace. One that was told
  // true and returns, or throws libtask::Aborted, has stopped early: its job is no success, and nothing that
  // it deferred is.
  bool should_abort();
  std::optional<AbortReason> abort_reason() const;  // as of the last should_abort()

  // Until the time limit; nothing when there is none. Negative when it has passed.
  std::optional<std::chrono::milliseconds> time_left() const;

  // How far the job is, in units of your own; total 0 = unknown. Call it as often as you like: at most ten a
  // second are sent.
  void progress(std::uint64_t done, std::uint64_t total = 0);

  // Defers a job in the transaction that records this job's success: both happen or neither does. Nothing is
  // deferred when the handler throws. Throws std::invalid_argument for an empty name or a negative delay,
  // std::length_error when all that this job defers passes 15 MiB.
  void defer(std::string_view task, const Args& args = {}, const DeferOptions& options = {});

 private:
  detail::RunningJob& job_;
};

using Handler = std::function<void(Context&)>;

// ---------------------------------------------------------------------------------------------------------------------
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

// These types and all that derive from them: .retry({.on = libtask::exceptions<NetworkError,
// std::system_error>()}).
template <class... Exceptions>
std::vector<ExceptionMatcher> exceptions() {
  return {&detail::is_a<Exceptions>...};
}

// When and how a failed job is run again. The total wait before the next attempt, with n attempts made before
// this one, is wait + linear_wait * n + exponential_wait ^ (n + 1) in seconds, as with Procrastinate.
struct RetryOptions {
  std::optional<int>
      max_attempts{};  // a job that was retried so often is not retried again; nothing = no limit
  std::chrono::duration<double> wait{0};
  std::chrono::duration<double> linear_wait{0};
  std::chrono::duration<double> exponential_wait{0};  // its count of seconds is the base; 0 = none
  std::vector<ExceptionMatcher> on{};                 // only for these exceptions; empty = for all
  bool on_crash = true;                               // after a crash and a passed time limit too
  // What a retry changes:
  std::optional<int> priority{};
  std::optional<std::string> queue{};
  std::optional<std::string> lock{};
};

// A registered task, to give it options: app.task(…).queue("kitchen").priority(5). Refers to the App, which
// must outlive it.
class Task {
 public:
  explicit Task(detail::TaskEntry& entry) : entry_(&entry) {}

  Task queue(std::string name);          // "default" otherwise
  Task priority(int priority);           // higher runs first; 0 otherwise
  Task lock(std::string lock);           // jobs with the same lock run one at a time, in order; "" = none
  Task queueing_lock(std::string lock);  // no two jobs with the same one can be waiting; "" = none
  Task time_limit(std::chrono::milliseconds limit);  // then the job is aborted, and killed after a grace
  Task retry(RetryOptions options);                  // without this a failure is final

 private:
  detail::TaskEntry* entry_;
};

struct PeriodicOptions {
  Args args{};       // of each job; a "timestamp", the unix seconds of the tick, is added to them
  std::string id{};  // tells several schedules of one task apart
};

namespace detail {

// Throws BadArguments when the job has an argument (but "timestamp", which periodic jobs carry).
void expect_no_arguments(const Context& job);

// "std::runtime_error" for typeid(std::runtime_error).
std::string type_name(const std::type_info& type);

// Defined in <libtask/json.h>.
template <class F, std::size_t N>
struct TypedHandler;

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
                  "a handler returns void: failure is told by an exception");
    return handler;
  } else if constexpr (std::is_invocable_v<F&>) {
    static_assert(std::is_void_v<std::invoke_result_t<F&>>,
                  "a handler returns void: failure is told by an exception");
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

// ---------------------------------------------------------------------------------------------------------------------

// The tasks of a program and its main(). Registration never throws for a mistake in it (a name used twice, an
// impossible option): run() reports them all, one line each, and returns 2.
class App {
 public:
  App();
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // The handler takes Context&, and the arguments as JSON text from it; or nothing, and then the job must
  // have no arguments.
  template <class F>
  Task task(std::string_view name, F handler) {
    return add(name, detail::untyped(std::move(handler)), {});
  }

  // The handler takes one parameter for each name, and may take Context& before them. Needs <libtask/json.h>,
  // which tells the types a parameter may have and what becomes of arguments that do not fit.
  template <class F, std::size_t N>
  Task task(std::string_view name, F handler, const char* const (&parameters)[N]) {
    static_assert(detail::Defined<detail::TypedHandler<F, N>>,
                  "typed parameters need #include <libtask/json.h>");
    return add(name, detail::TypedHandler<F, N>(std::move(handler), parameters),
               {std::begin(parameters), std::end(parameters)});
  }

  // Defers a job of a registered task at each tick of `cron`: minute, hour, day of month, month, day of week,
  // with seconds after them if six fields are given. The supervisor's housekeeper keeps the time.
  void periodic(std::string cron, std::string task, PeriodicOptions options = {});

  // Does what the environment and the arguments ask for, and returns the exit status for main():
  //   served by a sub-worker   0 when it closes the channel, 70 when it does not speak the protocol
  //   run TASK [JSON]          0 succeeded, 1 failed or aborted, 2 unknown task or arguments that do not fit
  //   --describe, --list, --help   0
  //   anything else, or a mistake in the registration: 2
  int run(int argc, char** argv);

 private:
  Task add(std::string_view name, Handler handler, std::vector<std::string> parameters);

  std::unique_ptr<detail::Registry> registry_;
};

}  // namespace libtask
