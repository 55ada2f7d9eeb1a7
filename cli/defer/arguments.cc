#include "cli/defer/arguments.h"

#include <algorithm>
#include <charconv>
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

// "[json.exception.out_of_range.406] <reason>", for a number that no double holds.
std::string reason_of(const nlohmann::json::exception& error) {
  const std::string text = error.what();
  const std::size_t bracket = text.find("] ");
  return bracket == std::string::npos ? text : text.substr(bracket + 2);
}

constexpr std::string_view kOfNumbers = "+-.0123456789eE";

// Whether PostgreSQL's numeric, which is what jsonb makes of a number, has as many digits behind the point.
// (A number that is too large for it is too large for a double, too, which the JSON parser refuses.)
bool fits_numeric(std::string_view number) {
  constexpr long kMostDigits = 16'383;
  const std::size_t e = std::min(number.find_first_of("eE"), number.size());
  const std::size_t point = std::min(number.find('.'), e);
  std::string_view exponent = number.substr(std::min(e + 1, number.size()));
  const bool is_negative = exponent.starts_with('-');
  exponent.remove_prefix(std::min(exponent.find_first_not_of("+-0"), exponent.size()));
  if (exponent.size() > 5) return false;
  long shift = 0;
  std::from_chars(exponent.data(), exponent.data() + exponent.size(), shift);
  const long behind = static_cast<long>(e - std::min(point + 1, e));
  return shift <= kMostDigits && behind + (is_negative ? shift : -shift) <= kMostDigits;
}

// JSON allows more than PostgreSQL stores (no NUL, a limited number of digits) and a task reads (a limited
// depth). One walk finds these, in any text, JSON or not.
std::optional<TextProblem> problem_with_content(std::string_view text, std::size_t deepest) {
  constexpr std::string_view kNul = "u0000";
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\0') return TextProblem{at + 1, "a NUL byte, which no JSON holds"};
    if (in_string && c == '\\') {
      if (text.substr(at + 1, kNul.size()) == kNul)
        return TextProblem{at + 1, "a NUL (\\u0000), which the database cannot store"};
      ++at;  // also a quote or another backslash
    } else if (c == '"') {
      in_string = !in_string;
    } else if (!in_string && (c == '{' || c == '[') && ++depth > deepest) {
      return TextProblem{at + 1,
                         "nested too deep: a task reads " + std::to_string(kDeepest) + " levels at most"};
    } else if (!in_string && depth > 0 && (c == '}' || c == ']')) {
      --depth;
    } else if (!in_string && c >= '0' && c <= '9') {
      const std::string_view number =
          text.substr(at, std::min(text.find_first_not_of(kOfNumbers, at), text.size()) - at);
      if (!fits_numeric(number))
        return TextProblem{at + 1, "a number with more digits than the database can store"};
      at += number.size() - 1;
    }
  }
  return std::nullopt;
}

constexpr std::string_view kMark = "\xEF\xBB\xBF";

std::string not_an_object(const nlohmann::json& value) {
  const std::string article = value.is_null() ? "" : value.is_array() ? "an " : "a ";
  return "a JSON object is needed, such as {\"dish\": \"plate\"}, but this is " + article + value.type_name();
}

}  // namespace

std::optional<TextProblem> problem_with_object(std::string_view text, std::size_t deepest) {
  try {
    // The JSON parser would pass over the mark, and PostgreSQL would not.
    if (text.starts_with(kMark))
      return TextProblem{1, "a byte order mark (U+FEFF), which JSON does not allow"};
    if (auto problem = problem_with_content(text, deepest)) return problem;
    const auto value = nlohmann::json::parse(text);
    if (value.is_object()) return std::nullopt;
    return TextProblem{1, not_an_object(value)};
  } catch (const nlohmann::json::parse_error& error) {
    return TextProblem{std::max<std::size_t>(error.byte, 1), "not valid JSON: " + reason_of(error)};
  } catch (const nlohmann::json::exception& error) {
    return TextProblem{1, "not to be read: " + reason_of(error)};
  }
}

std::string_view without_mark(std::string_view text) {
  return text.starts_with(kMark) ? text.substr(kMark.size()) : text;
}

std::string problem_with_arguments(const std::string& text) {
  const auto problem = problem_with_object(text);
  return problem ? "at " + place(text, problem->byte) + ": " + problem->message : "";
}

}  // namespace postpone::cli
