// How a job's arguments become the parameters of a handler, and how a handler with typed parameters becomes one that
// takes Context&. For <libtask/json.h> only, whose head has the rules.
#pragma once

#include <libtask/task.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace libtask {
namespace detail {

inline std::string quoted(const std::string& name) {
  return '"' + name + '"';
}

inline std::string part_of(const std::string& whole, const std::string& part) {
  return part + " of " + whole;
}

// `value` as an error message shows it: its kind, and at most so much of its text.
inline std::string shown(const nlohmann::json& value) {
  constexpr std::size_t kShown = 60;
  if (value.is_null()) return "null";
  const std::string kind = value.is_number_integer() ? "integer" : value.type_name();
  const std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  return kind + " " + (text.size() > kShown ? text.substr(0, kShown) + "…" : text);
}

inline void expect(bool fits, const std::string& expected, const nlohmann::json& value,
                   const std::string& where) {
  if (!fits) throw BadArguments(where + ": expected " + expected + ", got " + shown(value));
}

// Reads an argument of type T; `where` names it: argument "times" of dishes.wash. Throws BadArguments.
// Refuses where nlohmann-json would convert: 2.5 to int, 300 to std::uint8_t, true to 1. The primary template
// is for the types without one of their own below.
template <class T>
struct Reader {
  static_assert(
      requires(const nlohmann::json& value) { value.get<T>(); },
      "a handler's parameter is of a type that nlohmann-json can read: write a from_json for it");
  static std::string expected() { return type_name(typeid(T)); }
  static T read(const nlohmann::json& value, const std::string& where) {
    try {
      return value.get<T>();
    } catch (const std::exception& error) {  // of the author's from_json too
      throw BadArguments(where + ": expected " + expected() + ", got " + shown(value) + " (" +
                         what_of(error) + ")");
    }
  }
};

template <>
struct Reader<nlohmann::json> {
  static std::string expected() { return "any value"; }
  static nlohmann::json read(const nlohmann::json& value, const std::string&) { return value; }
};

template <>
struct Reader<bool> {
  static std::string expected() { return "boolean"; }
  static bool read(const nlohmann::json& value, const std::string& where) {
    expect(value.is_boolean(), expected(), value, where);
    return value.get<bool>();
  }
};

template <std::integral T>
struct Reader<T> {
  static std::string expected() { return "integer"; }
  static T read(const nlohmann::json& value, const std::string& where) {
    expect(value.is_number_integer(), expected(), value, where);
    const bool in_range = value.is_number_unsigned() ? std::in_range<T>(value.get<std::uint64_t>())
                                                     : std::in_range<T>(value.get<std::int64_t>());
    expect(in_range,
           "integer from " + std::to_string(std::numeric_limits<T>::min()) + " to " +
               std::to_string(std::numeric_limits<T>::max()),
           value, where);
    return value.get<T>();
  }
};

template <std::floating_point T>
struct Reader<T> {
  static std::string expected() { return "number"; }
  static T read(const nlohmann::json& value, const std::string& where) {
    expect(value.is_number(), expected(), value, where);
    return value.get<T>();
  }
};

template <>
struct Reader<std::string> {
  static std::string expected() { return "string"; }
  static std::string read(const nlohmann::json& value, const std::string& where) {
    expect(value.is_string(), expected(), value, where);
    return value.get<std::string>();
  }
};

template <class T>
struct Reader<std::optional<T>> {
  static std::string expected() { return Reader<T>::expected() + " or null"; }
  static std::optional<T> read(const nlohmann::json& value, const std::string& where) {
    if (value.is_null()) return std::nullopt;
    return Reader<T>::read(value, where);
  }
};

template <class T>
struct Reader<std::vector<T>> {
  static std::string expected() { return "array"; }
  static std::vector<T> read(const nlohmann::json& value, const std::string& where) {
    expect(value.is_array(), expected(), value, where);
    std::vector<T> elements;
    for (const auto& element : value) {
      elements.push_back(
          Reader<T>::read(element, part_of(where, "element " + std::to_string(elements.size()))));
    }
    return elements;
  }
};

template <class T>
struct Reader<std::map<std::string, T>> {
  static std::string expected() { return "object"; }
  static std::map<std::string, T> read(const nlohmann::json& value, const std::string& where) {
    expect(value.is_object(), expected(), value, where);
    std::map<std::string, T> members;
    for (const auto& [name, member] : value.items()) {
      members.emplace(name, Reader<T>::read(member, part_of(where, quoted(name))));
    }
    return members;
  }
};

template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;

template <class T>
T read_argument(const nlohmann::json& args, const std::string& name, const std::string& task) {
  const std::string where = "argument " + quoted(name) + " of " + task;
  if (const auto found = args.find(name); found != args.end()) return Reader<T>::read(*found, where);
  if constexpr (kIsOptional<T>) {
    return std::nullopt;
  } else {
    throw BadArguments(where + " is missing: expected " + Reader<T>::expected());
  }
}

// Finds what the parser objects to, and where.
struct FaultFinder : nlohmann::json_sax<nlohmann::json> {
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(std::size_t end, const std::string& token,
                   const nlohmann::json::exception& error) override {
    constexpr int kNumberOverflow = 406;
    const std::size_t begin = end - (token.size() < end ? token.size() : end);
    fault = error.id == kNumberOverflow ? "the number " + token + " at byte " + std::to_string(begin) +
                                              " is beyond what a double holds"
                                        : "not JSON at byte " + std::to_string(begin);
    return false;
  }
  std::string fault = "not JSON";
};

inline nlohmann::json parse_args(const Context& job) {
  nlohmann::json args = nlohmann::json::parse(job.args(), nullptr, false);
  if (args.is_discarded()) {
    FaultFinder finder;
    nlohmann::json::sax_parse(job.args(), &finder);
    throw BadArguments("the arguments of " + job.task() + " cannot be read: " + finder.fault);
  }
  if (!args.is_object())
    throw BadArguments("the arguments of " + job.task() + " are no JSON object, but " + shown(args));
  return args;
}

template <std::size_t N>
[[noreturn]] void refuse_argument(const std::string& name, const std::array<std::string, N>& names,
                                  const std::string& task) {
  std::string known;
  for (const std::string& each : names) known.append(known.empty() ? "" : ", ").append(quoted(each));
  throw BadArguments("unexpected argument " + quoted(name) + " of " + task + ": it takes " + known);
}

template <std::size_t N>
void refuse_unexpected(const nlohmann::json& args, const std::array<std::string, N>& names,
                       const std::string& task) {
  for (const auto& [name, value] : args.items()) {
    const bool known = std::find(names.begin(), names.end(), name) != names.end();
    if (!known && name != "timestamp") refuse_argument(name, names, task);
  }
}

template <class P>
constexpr void check_parameter() {
  using T = std::remove_cvref_t<P>;
  static_assert(
      !std::is_same_v<T, std::string_view> && !std::is_pointer_v<T> &&
          !std::is_same_v<T, std::optional<std::string_view>>,
      "a handler's parameter owns its value: std::string instead of std::string_view or const char*");
  static_assert(!std::is_lvalue_reference_v<P> || std::is_const_v<std::remove_reference_t<P>>,
                "a handler's parameter is a value or a const reference");
}

// What a handler takes and returns, read off its signature.
template <class>
struct Signature;
template <class R, class... P>
struct Signature<std::function<R(P...)>> {
  using Return = R;
  using Parameters = std::tuple<P...>;
  static constexpr bool kTakesContext = false;
};
template <class R, class... P>
struct Signature<std::function<R(Context&, P...)>> {
  using Return = R;
  using Parameters = std::tuple<P...>;
  static constexpr bool kTakesContext = true;
};

template <class F>
concept HasOneSignature = requires(F handler) {
  std::function{handler};
};

// Reads the arguments of the job as P…, and calls the handler with them.
template <bool kTakesContext, class... P, class F, std::size_t... I>
void call_with_arguments(F& handler, Context& job, const std::array<std::string, sizeof...(P)>& names,
                         std::index_sequence<I...>) {
  const nlohmann::json args = parse_args(job);
  refuse_unexpected(args, names, job.task());
  std::tuple<std::remove_cvref_t<P>...> values{
      read_argument<std::remove_cvref_t<P>>(args, names[I], job.task())...};
  if constexpr (kTakesContext) {
    handler(job, std::forward<P>(std::get<I>(values))...);
  } else {
    handler(std::forward<P>(std::get<I>(values))...);
  }
}

// A handler with typed parameters as one that takes Context&.
template <class F, std::size_t N>
struct TypedHandler {
 public:
  static_assert(HasOneSignature<F>,
                "a handler with typed parameters has one signature: no auto, no overloads");
  using Shape = Signature<decltype(std::function{std::declval<F>()})>;
  using Parameters = typename Shape::Parameters;
  static_assert(std::is_void_v<typename Shape::Return>,
                "a handler returns void, and reports a failure by an exception");
  static_assert(std::tuple_size_v<Parameters> == N,
                "a handler takes one parameter for each name (after Context&)");

  TypedHandler(F handler, const char* const (&names)[N]) : handler_(std::move(handler)) {
    std::copy(std::begin(names), std::end(names), names_.begin());
  }

  void operator()(Context& job) { call(job, static_cast<Parameters*>(nullptr)); }

 private:
  template <class... P>
  void call(Context& job, std::tuple<P...>*) {
    (check_parameter<P>(), ...);
    call_with_arguments<Shape::kTakesContext, P...>(handler_, job, names_, std::make_index_sequence<N>{});
  }

  F handler_;
  std::array<std::string, N> names_;
};

// The handler of a declared task as one that takes Context&. It is given what the declaration says, whatever its
// own parameters are made from that.
template <class F, class... Arguments>
struct DeclaredHandler {
 public:
  static constexpr bool kTakesContext = std::is_invocable_v<F&, Context&, Arguments...>;
  static_assert(kTakesContext || std::is_invocable_v<F&, Arguments...>,
                "the handler of a declared task takes what the task declares (after Context&)");

  DeclaredHandler(F handler, const Declaration<Arguments...>& declared) : handler_(std::move(handler)) {
    std::copy(declared.names().begin(), declared.names().end(), names_.begin());
  }

  void operator()(Context& job) {
    call_with_arguments<kTakesContext, Arguments...>(handler_, job, names_,
                                                     std::index_sequence_for<Arguments...>{});
  }

 private:
  F handler_;
  std::array<std::string, sizeof...(Arguments)> names_;
};

}  // namespace detail
}  // namespace libtask
