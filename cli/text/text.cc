#include "cli/text/text.h"

#include <locale.h>  // NOLINT(modernize-deprecated-headers): newlocale() is POSIX's
#include <wchar.h>   // NOLINT(modernize-deprecated-headers): and so is wcwidth()

#include <algorithm>
#include <array>
#include <cstdio>

#include "cli/text/colour.h"
#include "sys/utf8.h"

namespace postpone::cli {
namespace {

constexpr std::string_view kCut = "...";

// snprintf() for the few short texts here that need it.
template <typename... Values>
std::string format(const char* pattern, Values... values) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), pattern, values...);
  return text.data();
}

struct Character {
  std::size_t bytes = 0;  // at least one
  char32_t code_point = 0;
  bool valid = false;  // false for one byte that is no UTF-8
};

Character character_at(std::string_view text, std::size_t at) {
  const std::size_t bytes = sys::utf8_character_at(text, at);
  if (bytes == 0) return {1, static_cast<unsigned char>(text[at]), false};
  return {bytes, sys::utf8_code_point(text, at, bytes), true};
}

// The width that the C library knows, whatever locale the environment names; one column for a character that
// the library does not know.
std::size_t columns_of(char32_t c) {
  if (c < 0x300) return 1;
  static const locale_t utf8 = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (utf8 == nullptr) return 1;
  const locale_t before = ::uselocale(utf8);
  const int columns = ::wcwidth(static_cast<wchar_t>(c));
  ::uselocale(before);
  return columns < 0 ? 1 : static_cast<std::size_t>(columns);
}

// The length of the sequence at this place that switches a style on or off; 0 when there is none. In
// printable() text nothing else begins with an escape.
std::size_t style_at(std::string_view text, std::size_t at) {
  constexpr std::string_view kBegin = "\x1b[";
  if (text.substr(at, kBegin.size()) != kBegin) return 0;
  const std::size_t end = text.find_first_not_of("0123456789;", at + kBegin.size());
  return end != std::string_view::npos && text[end] == 'm' ? end + 1 - at : 0;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string safe;
  for (std::size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    if (!c.valid || c.code_point < 0x20 || c.code_point == 0x7F) {
      if (c.code_point == '\n')
        safe += "\\n";
      else if (c.code_point == '\t')
        safe += "\\t";
      else
        safe += format("\\x%02X", static_cast<unsigned>(c.code_point));
    } else if (sys::is_obeyed(c.code_point)) {
      safe += format("\\u%04X", static_cast<unsigned>(c.code_point));
    } else {
      safe += text.substr(at, c.bytes);
    }
    at += c.bytes;
  }
  return safe;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (const std::size_t style = style_at(text, at); style > 0) {
      at += style;
      continue;
    }
    const Character c = character_at(text, at);
    width += columns_of(c.code_point);
    at += c.bytes;
  }
  return width;
}

std::string cut(const std::string& text, std::size_t width) {
  if (display_width(text) <= width) return text;
  const std::size_t room = width - std::min(width, kCut.size());
  std::string kept;
  std::string_view last_style = kNoStyle;
  for (std::size_t at = 0, used = 0; at < text.size();) {
    std::size_t bytes = style_at(text, at);
    if (bytes > 0) {
      last_style = std::string_view(text).substr(at, bytes);
    } else {
      const Character c = character_at(text, at);
      used += columns_of(c.code_point);
      if (used > room) break;
      bytes = c.bytes;
    }
    kept.append(text, at, bytes);
    at += bytes;
  }
  kept += kCut.substr(0, width);
  return last_style == kNoStyle ? kept : kept.append(kNoStyle);
}

std::string human_size(std::int64_t bytes) {
  static constexpr std::array kUnits = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1023.95 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return format("%.1f %s", value, kUnits.at(unit));
}

}  // namespace postpone::cli
