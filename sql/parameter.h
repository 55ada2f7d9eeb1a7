// What goes into a statement. Internal to sql/.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sql/job.h"

namespace postpone::sql {

// A parameter in text form; nothing = NULL. Cast it in the statement: $1::bigint.
using Parameter = std::optional<std::string>;

// PostgreSQL's text form of values, the same whatever DateStyle and TimeZone are.
std::string to_parameter(int value);
std::string to_parameter(std::int64_t value);
std::string to_parameter(double value);
template <std::same_as<bool> T>  // of a plain bool parameter, every pointer would become "true"
std::string to_parameter(T value) {
  return value ? "t" : "f";
}
std::string to_parameter(SystemTime value);                         // timestamptz, to the microsecond
std::string to_parameter(const std::vector<std::int64_t>& values);  // an array, {1,2}
std::string to_parameter(const std::vector<std::string>& values);   // an array, {"a","b"}; any text
std::string to_parameter(const std::vector<Parameter>& values);     // the same, with NULLs
inline std::string to_parameter(std::string value) {
  return value;
}
template <class T>
Parameter to_parameter(const std::optional<T>& value) {
  if (!value) return std::nullopt;
  return to_parameter(*value);
}

}  // namespace postpone::sql
