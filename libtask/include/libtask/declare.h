// Jobs that are to be deferred, and tasks that are declared once, in a header which those who defer them and those who
// run them share. Needs the standard library only.
//
//   // dishes.h
//   inline constexpr auto wash =
//       libtask::declare<std::string, int>("dishes.wash", "dish", "times").queue("kitchen");
//
//   client.defer(wash("plate", 2));                                // <libtask/client.h>
//   app.task(wash, [](const std::string& dish, int times) { … });  // <libtask/json.h>
//
// The compiler refuses arguments that do not fit the declaration, on both sides.
#pragma once

#include <libtask/args.h>

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace libtask {

// What becomes of a new job while another one waits under its queueing lock.
enum class OnConflict {
  refuse,   // nothing: an error
  keep,     // the job that waits stays as it is and stands for the new one (throttle)
  replace,  // the job that waits gets the arguments, time, priority and meta of the new one (debounce)
};

struct JobOptions {
  std::string queue = "default";
  int priority = 0;             // higher goes first
  std::string lock{};           // jobs of one lock run one at a time, in order; "" = none
  std::string queueing_lock{};  // at most one job of a queueing lock waits; "" = none
  // Not before this time; or not before so long after now, by the database's clock. Not both.
  std::optional<std::chrono::system_clock::time_point> schedule_at{};
  std::optional<std::chrono::microseconds> schedule_in{};
  OnConflict on_conflict = OnConflict::refuse;
  // Beside the arguments: a small object (8 KiB at most) about the job, such as {{"tenant", "ann"}}.
  std::optional<Args> meta{};
};

// A job that is to be deferred: a plain value. The functions change it and return it:
//   client.defer(wash("plate", 2).schedule_in(5min).queueing_lock("plates").on_conflict(OnConflict::replace));
class NewJob {
 public:
  explicit NewJob(std::string_view task, Args args = {}, JobOptions options = {})
      : task_(task), args_(std::move(args)), options_(std::move(options)) {}

  const std::string& task() const { return task_; }
  const Args& args() const { return args_; }
  const JobOptions& options() const { return options_; }

  NewJob& queue(std::string_view name) { return set(options_.queue, std::string(name)); }
  NewJob& priority(int priority) { return set(options_.priority, priority); }
  NewJob& lock(std::string_view lock) { return set(options_.lock, std::string(lock)); }
  NewJob& queueing_lock(std::string_view lock) { return set(options_.queueing_lock, std::string(lock)); }
  NewJob& schedule_at(std::chrono::system_clock::time_point time) { return set(options_.schedule_at, time); }
  NewJob& schedule_in(std::chrono::microseconds time) { return set(options_.schedule_in, time); }
  NewJob& on_conflict(OnConflict choice) { return set(options_.on_conflict, choice); }
  NewJob& meta(Args meta) { return set(options_.meta, std::move(meta)); }

 private:
  template <class T, class V>
  NewJob& set(T& member, V&& value) {
    member = std::forward<V>(value);
    return *this;
  }

  std::string task_;
  Args args_;
  JobOptions options_;
};

namespace detail {

template <class T>
concept Number = std::is_arithmetic_v<T>;
template <class T>
concept Integer =
    std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> && !std::same_as<T, wchar_t> &&
    !std::same_as<T, char8_t> && !std::same_as<T, char16_t> && !std::same_as<T, char32_t>;

[[noreturn]] inline void refuse_out_of_range(std::string_view task, std::string_view name) {
  throw std::out_of_range("argument \"" + std::string(name) + "\" of " + std::string(task) +
                          " is beyond what its type holds");
}

// What an std::optional may hold; a type itself, which is none.
template <class T>
struct ValueOf {
  using Type = T;
};
template <class T>
struct ValueOf<std::optional<T>> {
  using Type = T;
};
template <class T>
using ValueOfT = typename ValueOf<std::remove_cvref_t<T>>::Type;

// Whether this may be given for a number. It does not lose its fraction, and neither does it become a bool or a bool a
// number. What has to be converted first, an enumeration say, is none: nobody could look whether it is in range.
template <class Given, class T>
concept FitsNumber = std::same_as<Given, T> ||(Integer<Given> && (Integer<T> || std::floating_point<T>)) ||
                     (std::floating_point<Given> && std::floating_point<T>);

// Whether an argument may be given for one that is declared as T.
template <class Given, class T>
concept Fits = std::convertible_to<Given, T> &&
    (!Number<ValueOfT<T>> || FitsNumber<ValueOfT<Given>, ValueOfT<T>> ||
     (!Number<T> && std::same_as<std::remove_cvref_t<Given>, std::nullopt_t>));

// Throws std::out_of_range for an integer that T does not hold.
template <class T, class Given>
T declared_value(Given&& given, std::string_view task, std::string_view name) {
  using Whole = std::remove_cvref_t<Given>;
  if constexpr (Integer<ValueOfT<T>> && Integer<ValueOfT<Given>>) {
    if constexpr (Integer<Whole>) {
      if (!std::in_range<ValueOfT<T>>(given)) refuse_out_of_range(task, name);
    } else {
      if (given && !std::in_range<ValueOfT<T>>(*given)) refuse_out_of_range(task, name);
    }
  }
  return static_cast<T>(std::forward<Given>(given));
}

}  // namespace detail

// A task's name, with the names and types of its arguments, and the options that its jobs have unless said
// otherwise. A constant: it refers to the texts that it was made with. Made by declare().
template <class... Arguments>
class Declaration {
 public:
  static constexpr std::size_t kCount = sizeof...(Arguments);

  constexpr Declaration(std::string_view task, const std::array<std::string_view, kCount>& names)
      : task_(task), names_(names) {}

  // A job of this task, with an argument for each name. Throws std::out_of_range for an integer that its declared
  // type does not hold, and std::invalid_argument for what JSON in PostgreSQL cannot hold.
  template <class... Given>
  requires(sizeof...(Given) == sizeof...(Arguments) && (detail::Fits<Given, Arguments> && ...)) NewJob
  operator()(Given&&... given) const {
    std::string text = "{";
    std::size_t i = 0;
    (append<Arguments>(text, names_[i++], std::forward<Given>(given)), ...);
    return NewJob(task_, Args::from_text(text + "}"),
                  {.queue = std::string(queue_),
                   .priority = priority_,
                   .lock = std::string(lock_),
                   .queueing_lock = std::string(queueing_lock_)});
  }

  // A copy with this option. What they mean is said at JobOptions.
  constexpr Declaration queue(std::string_view name) const { return with(&Declaration::queue_, name); }
  constexpr Declaration priority(int priority) const { return with(&Declaration::priority_, priority); }
  constexpr Declaration lock(std::string_view lock) const { return with(&Declaration::lock_, lock); }
  constexpr Declaration queueing_lock(std::string_view lock) const {
    return with(&Declaration::queueing_lock_, lock);
  }

  constexpr std::string_view task() const { return task_; }
  constexpr const std::array<std::string_view, kCount>& names() const { return names_; }
  constexpr std::string_view queue() const { return queue_; }
  constexpr int priority() const { return priority_; }
  constexpr std::string_view lock() const { return lock_; }
  constexpr std::string_view queueing_lock() const { return queueing_lock_; }

 private:
  template <class T, class Given>
  void append(std::string& text, std::string_view name, Given&& given) const {
    static_assert(JsonWritable<T>,
                  "a declared type is one that becomes JSON: specialise libtask::ToJson for it");
    if (text.size() > 1) text += ',';
    text += detail::json_text(name) + ':' +
            ToJson<T>::text(detail::declared_value<T>(std::forward<Given>(given), task_, name));
  }

  template <class T>
  constexpr Declaration with(T Declaration::*member, T value) const {
    Declaration copy = *this;
    copy.*member = value;
    return copy;
  }

  std::string_view task_;
  std::array<std::string_view, kCount> names_;
  std::string_view queue_ = "default";
  int priority_ = 0;
  std::string_view lock_{};
  std::string_view queueing_lock_{};
};

// A task whose arguments have these types and names. A name that is missing or stands twice is an error of the
// compiler.
template <class... Arguments, class... Names>
consteval Declaration<Arguments...> declare(std::string_view task, const Names&... names) {
  static_assert(sizeof...(Names) == sizeof...(Arguments), "a declared task names each of its arguments");
  static_assert((std::same_as<Arguments, std::remove_cvref_t<Arguments>> && ...),
                "a declared type is a value: std::string instead of const std::string&");
  const std::array<std::string_view, sizeof...(Names)> all{std::string_view(names)...};
  constexpr std::size_t kLongestName = 128;
  if (task.empty() || task.size() > kLongestName)
    throw std::invalid_argument("a task's name has 1 to 128 characters");
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].empty()) throw std::invalid_argument("an argument without a name");
    for (std::size_t j = 0; j < i; ++j) {
      if (all[i] == all[j]) throw std::invalid_argument("two arguments of one name");
    }
  }
  return Declaration<Arguments...>(task, all);
}

}  // namespace libtask
