#include "cli/arguments.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace postpone::cli {
namespace {

// `byte` is 1-based, as the parser counts.
std::string place(const std::string& text, std::size_t byte) {
  const std::size_t before = std::min(byte > 0 ? byte - 1 : 0, text.size());
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(before);
  const auto line = 1 + std::count(text.begin(), end, '\n');
  const std::size_t newline = before > 0 ? text.rfind('\n', before - 1) : std::string::npos;
  const std::size_t column = newline == std::string::npos ? before + 1 : before - newline;
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

// "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error while parsing …: <reason>"
std::string reason_of(const nlohmann::json::parse_error& error) {
  const std::string text = error.what();
  const std::size_t position = text.find("column ");
  const std::size_t colon = position == std::string::npos ? position : text.find(": ", position);
  return colon == std::string::npos ? text : text.substr(colon + 2);
}

// "[json.exception.out_of_range.406] <reason>": of a number that no double holds.
std::string reason_of(const nlohmann::json::exception& error) {
  const std::string text = error.what();
  const std::size_t bracket = text.find("] ");
  return bracket == std::string::npos ? text : text.substr(bracket + 2);
}

}  // namespace

std::optional<TextProblem> problem_with_object(std::string_view text) {
  try {
    const auto value = nlohmann::json::parse(text);
    if (value.is_object()) return std::nullopt;
    const std::string article = value.is_null() ? "" : value.is_array() ? "an " : "a ";
    return TextProblem{1, "a JSON object is needed, such as {\"dish\": \"plate\"}, but this is " + article +
                              value.type_name()};
  } catch (const nlohmann::json::parse_error& error) {
    return TextProblem{std::max<std::size_t>(error.byte, 1), "not valid JSON: " + reason_of(error)};
  } catch (const nlohmann::json::exception& error) {
    return TextProblem{1, "not to be read: " + reason_of(error)};
  }
}

std::string problem_with_arguments(const std::string& text) {
  try {
    const auto value = nlohmann::json::parse(text);
    if (value.is_object()) return "";
    const std::string article = value.is_null() ? "" : value.is_array() ? "an " : "a ";
    return "a JSON object is needed, such as {\"dish\": \"plate\"}, but this is " + article +
           value.type_name();
  } catch (const nlohmann::json::parse_error& error) {
    return "not valid JSON at " + place(text, error.byte) + ": " + reason_of(error);
  } catch (const nlohmann::json::exception& error) {
    return "not to be read: " + reason_of(error);
  }
}

}  // namespace postpone::cli
