// Writes JSON from left to right into one text. A tree of values, built first and written afterwards, costs
// ten times as much, and the supervisor has one thread for everything.
#pragma once

#include <spdlog/fmt/fmt.h>

#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace postpone::supervisor::status {

class JsonWriter {
 public:
  // Containers: `content` writes what is in them.
  template <class Content>
  void object(Content content) {
    container('{', '}', content);
  }
  template <class Content>
  void array(Content content) {
    container('[', ']', content);
  }

  // The name of the next value. Names are ours, and need no escaping.
  void key(std::string_view name) {
    separate();
    text_.append(1, '"').append(name).append("\":");
    first_ = true;
  }

  void null() {
    separate();
    text_ += "null";
  }
  void value(bool boolean) {
    separate();
    text_ += boolean ? "true" : "false";
  }
  // Bytes that are no UTF-8 become U+FFFD.
  void value(std::string_view string) {
    separate();
    write_string(string);
  }
  void value(const char* string) { value(std::string_view(string)); }
  template <class Number, class = std::enable_if_t<std::is_arithmetic_v<Number>>>
  void value(Number number) {
    separate();
    fmt::format_to(std::back_inserter(text_), "{}", number);
  }
  template <class T>
  void value(const std::optional<T>& optional) {
    optional ? value(*optional) : null();
  }

  // key() and value() in one.
  template <class T>
  void field(std::string_view name, const T& what) {
    key(name);
    if constexpr (std::is_convertible_v<const T&, std::string_view>)
      value(std::string_view(what));
    else
      value(what);
  }

  std::string take() { return std::move(text_); }

 private:
  template <class Content>
  void container(char begin, char end, Content& content) {
    separate();
    text_ += begin;
    first_ = true;
    content();
    text_ += end;
    first_ = false;
  }
  void separate() {
    if (!first_) text_ += ',';
    first_ = false;
  }
  void write_string(std::string_view string);

  std::string text_;
  bool first_ = true;  // nothing stands before the next value in its container
};

}  // namespace postpone::supervisor::status
