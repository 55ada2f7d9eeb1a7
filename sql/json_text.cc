#include "sql/json_text.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>

namespace postpone::sql {
namespace {

using nlohmann::json;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// JSON text without the magnitude of its numbers, of which those beyond a double are correct JSON, and
// PostgreSQL stores them: exponents become zeros, and digits behind the 200th of a row are left out.
std::string without_magnitudes(const std::string& text) {
  constexpr std::size_t kMostDigits = 200;
  bool in_string = false;
  std::size_t digits = 0;
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\' && i + 1 < text.size()) {
      result += c;
      result += text[++i];
      continue;
    }
    if (c == '"') in_string = !in_string;
    const bool is_exponent = !in_string && (c == 'e' || c == 'E') && digits > 0;
    digits = !in_string && is_digit(c) ? digits + 1 : 0;
    if (digits <= kMostDigits) result += c;
    if (!is_exponent) continue;
    if (i + 1 < text.size() && (text[i + 1] == '+' || text[i + 1] == '-')) result += text[++i];
    while (i + 1 < text.size() && is_digit(text[i + 1])) {
      result += '0';
      ++i;
    }
  }
  return result;
}

// The exponent of a JSON number, from behind its "e"; nothing when PostgreSQL does not read it.
std::optional<std::int64_t> exponent_of(std::string_view text) {
  constexpr std::int64_t kBound = std::numeric_limits<std::int32_t>::max() / 2;
  if (text.starts_with('+')) text.remove_prefix(1);
  std::int64_t exponent = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), exponent);
  if (read.ec != std::errc() || exponent >= kBound || exponent <= -kBound) return std::nullopt;
  return exponent;
}

// Is a JSON number one that a numeric holds? As numeric_in() of the server reads it: 131072 digits before the point, and 16383
// behind it, those of a zero too.
bool is_numeric(std::string_view number) {
  constexpr std::int64_t kMostDigits = 131'072;
  constexpr std::int64_t kMostScale = 16'383;
  if (number.starts_with('-')) number.remove_prefix(1);
  const auto e = std::min(number.find_first_of("eE"), number.size());
  const std::optional<std::int64_t> exponent = e < number.size() ? exponent_of(number.substr(e + 1)) : 0;
  if (!exponent) return false;
  const std::string_view digits = number.substr(0, e);
  const auto point = std::min(digits.find('.'), digits.size());
  const auto behind = static_cast<std::int64_t>(digits.size() - std::min(point + 1, digits.size()));
  if (behind - *exponent > kMostScale) return false;
  const auto first = digits.find_first_of("123456789");
  if (first == std::string_view::npos) return true;
  // The power of ten that it stands for; without the point, those behind it are one place nearer.
  const auto place =
      static_cast<std::int64_t>(point) - static_cast<std::int64_t>(first) - (first < point ? 1 : 0);
  return place + *exponent < kMostDigits;
}

}  // namespace

std::optional<std::size_t> mistake_in_json(const std::string& text) {
  if (text.starts_with("\xEF\xBB\xBF")) return 1;
  const std::string plain = without_magnitudes(text);
  if (json::accept(plain)) return std::nullopt;
  const auto keep_nothing = [](int, json::parse_event_t, const json&) { return false; };
  try {
    const json nothing = json::parse(plain, keep_nothing);
  } catch (const json::parse_error& error) {
    return error.byte;
  }
  return std::nullopt;
}

std::string excess_in_json(const std::string& text) {
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      for (++i; text[i] != '"'; ++i)
        if (text[i] == '\\') ++i;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxJsonDepth) return "it is nested more than " + std::to_string(kMaxJsonDepth) + " deep";
    } else if (c == '}' || c == ']') {
      --depth;
    } else if (c == '-' || is_digit(c)) {
      const auto end = std::min(text.find_first_not_of("+-.0123456789eE", i), text.size());
      if (!is_numeric(std::string_view(text).substr(i, end - i)))
        return "the number at byte " + std::to_string(i + 1) + " is beyond what PostgreSQL stores";
      i = end - 1;
    }
  }
  return "";
}

// A backslash and what follows it are one: \\u0000 is no NUL.
std::string without_escaped_nul(const std::string& text) {
  constexpr std::string_view kNul = "\\u0000";
  if (text.find(kNul) == std::string::npos) return text;
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] != '\\') {
      result += text[i++];
    } else if (text.compare(i, kNul.size(), kNul) == 0) {
      result += "\\ufffd";
      i += kNul.size();
    } else {
      result += text.substr(i, 2);
      i += 2;
    }
  }
  return result;
}

std::size_t bytes_of_stored(const std::string& text) {
  std::size_t bytes = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\') {
      bytes += 2;
      ++i;
      continue;
    }
    if (c == '"') in_string = !in_string;
    if (in_string || (c != ' ' && c != '\t' && c != '\r' && c != '\n')) ++bytes;
    if (!in_string && (c == ',' || c == ':')) ++bytes;
  }
  return bytes;
}

}  // namespace postpone::sql
