#include "sql/parameter.h"

#include <charconv>
#include <chrono>
#include <cstdio>
#include <iterator>

namespace postpone::sql {
namespace {

using std::chrono::microseconds;

// An element of an array, always quoted.
void append_quoted(std::string& array, std::string_view element) {
  array += '"';
  for (const char c : element) {
    if (c == '"' || c == '\\') array += '\\';
    array += c;
  }
  array += '"';
}

}  // namespace

std::string to_parameter(int value) {
  return std::to_string(value);
}

std::string to_parameter(std::int64_t value) {
  return std::to_string(value);
}

std::string to_parameter(double value) {
  char text[32];
  const auto [end, error] = std::to_chars(std::begin(text), std::end(text), value);
  return {text, end};
}

std::string to_parameter(SystemTime value) {
  if (value == SystemTime::max()) return "infinity";
  if (value == SystemTime::min()) return "-infinity";
  const auto day = std::chrono::floor<std::chrono::days>(value);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(std::chrono::floor<microseconds>(value - day));
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u %02d:%02d:%02d.%06d+00", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                static_cast<int>(time.seconds().count()), static_cast<int>(time.subseconds().count()));
  return text;
}

std::string to_parameter(const std::vector<std::int64_t>& values) {
  std::string array = "{";
  for (const std::int64_t value : values) {
    if (array.size() > 1) array += ',';
    array += std::to_string(value);
  }
  return array + "}";
}

std::string to_parameter(const std::vector<std::string>& values) {
  std::string array = "{";
  for (const std::string& value : values) {
    if (array.size() > 1) array += ',';
    append_quoted(array, value);
  }
  return array + "}";
}

std::string to_parameter(const std::vector<Parameter>& values) {
  std::string array = "{";
  for (const Parameter& value : values) {
    if (array.size() > 1) array += ',';
    if (value) {
      append_quoted(array, *value);
    } else {
      array += "NULL";
    }
  }
  return array + "}";
}

}  // namespace postpone::sql
