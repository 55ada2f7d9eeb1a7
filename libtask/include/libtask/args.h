// The arguments of a job that a handler defers: C++ values that become JSON. <libtask/task.h> includes this.
//
//   job.defer("mail.send", {{"to", who}, {"sizes", std::vector{1, 2}}, {"from", {{"name", "Ada"}}}});
#pragma once

#include <concepts>
#include <cstddef>
#include <exception>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace libtask {

namespace detail {
std::string json_text(std::string_view text);  // quoted and escaped
std::string json_number(double number);

// what() of an exception of the author's; empty when that returns a null pointer.
std::string what_of(const std::exception& error);
}  // namespace detail

// How a C++ value becomes JSON: static std::string text(const T&). Specialise it to pass a type of your own.
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

// Not for character types: a library cannot know whether 'a' is a text or a number.
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

// A JSON value. Made from
//   nullptr, bool, a number, a text,
//   a std::optional, std::vector or std::map<std::string, …> of those (std::vector<Value> for a mixed list),
//   a braced list of names and values, Args, or any type with a ToJson.
// Throws std::invalid_argument for what JSON in PostgreSQL cannot hold: a text that is not UTF-8 or has a
// NUL, NaN, infinity.
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

// The arguments of a job, a JSON object: {{"to", who}, {"from", {{"name", "Ada"}}}}.
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

}  // namespace libtask
