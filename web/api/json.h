// Writes JSON from left to right into one text.
#pragma once

#include <cmath>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>

#include "sql/fleet.h"

namespace postpone::web {

class JsonWriter {
 public:
  // Containers: `content` writes what is in them.
  template <class Content>
  void object(Content content) {
    container('{', '}', content);
  }
  template <class Range, class Each>
  void array(const Range& range, Each each) {
    container('[', ']', [&] {
      for (const auto& one : range) each(one);
    });
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
  template <std::same_as<bool> Bool>
  void value(Bool boolean) {
    separate();
    text_ += boolean ? "true" : "false";
  }
  template <std::integral Number>
  requires(!std::same_as<Number, bool>) void value(Number number) {
    separate();
    text_ += std::to_string(number);
  }
  // Bytes that are no UTF-8 become U+FFFD.
  void value(std::string_view string);
  void value(const std::string& string) { value(std::string_view(string)); }
  void value(const char* string) { value(std::string_view(string)); }
  void value(sql::Seconds duration);  // null where it is infinite
  void value(sql::DatabaseTime time);
  void value(sql::BoundedCount count);  // {"count": 12, "is_more": false}
  template <class T>
  void value(const std::optional<T>& optional) {
    optional ? value(*optional) : null();
  }
  // JSON text, as the database has it: no number of it changes.
  void raw(const std::optional<std::string>& json);

  // key() and value() in one.
  template <class T>
  void field(std::string_view name, const T& what) {
    key(name);
    value(what);
  }
  void raw_field(std::string_view name, const std::optional<std::string>& json) {
    key(name);
    raw(json);
  }
  // Null for an empty text.
  void text_field(std::string_view name, const std::string& text) {
    key(name);
    text.empty() ? null() : value(text);
  }
  template <class Range, class Each>
  void array_field(std::string_view name, const Range& range, Each each) {
    key(name);
    array(range, each);
  }

  std::string take() { return std::move(text_); }

 private:
  template <class Content>
  void container(char begin, char end, Content content) {
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

  std::string text_;
  bool first_ = true;  // nothing stands before the next value in its container
};

// ---- what several answers have -------------------------------------------------------------------

void write_reading(JsonWriter& json, const sql::Reading& reading);  // fields of the object that is open
void write(JsonWriter& json, const sql::FleetJob& job);
void write(JsonWriter& json, const sql::InLine& job);
void write(JsonWriter& json, const std::optional<sql::InLine>& job);
void write(JsonWriter& json, const std::optional<sql::Progress>& progress);
void write(JsonWriter& json, const std::optional<sql::Lease>& lease);

// An answer whose object `content` fills.
template <class Content>
std::string json_object(Content content) {
  JsonWriter json;
  json.object([&] { content(json); });
  return json.take() + "\n";
}

}  // namespace postpone::web
