#include "manual/roff.h"

#include <array>
#include <cstdio>

namespace postpone::manual {
namespace {

std::size_t length_of_character(unsigned char first) {
  return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

// "\[u2026]". By default groff reads Latin-1, so the pages hold ASCII only.
std::string code_point(std::string_view character) {
  unsigned long point = static_cast<unsigned char>(character[0]) & (0xffU >> (character.size() + 1));
  for (const char c : character.substr(1)) point = point << 6 | (static_cast<unsigned char>(c) & 0x3fU);
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "\\[u%04lX]", point);
  return text.data();
}

std::string escaped(std::string_view character) {
  if (character.size() > 1) return code_point(character);
  switch (character[0]) {
    case '\\':
      return "\\(rs";
    case '-':
      return "\\-";
    case '\'':
      return "\\(aq";
    case '`':
      return "\\(ga";
    case '^':
      return "\\(ha";
    case '~':
      return "\\(ti";
    case '"':
      return "\\(dq";  // it would end an argument of a macro
    default:
      return std::string(character);
  }
}

std::string escaped_text(std::string_view text) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view character =
        text.substr(at, length_of_character(static_cast<unsigned char>(text[at])));
    result += escaped(character);
    at += character.size();
  }
  return result;
}

// A '.' that begins a line would call a macro.
std::string guarded(const std::string& text) {
  return text.starts_with('.') ? "\\&" + text : text;
}

}  // namespace

std::string literal(std::string_view text) {
  return guarded(escaped_text(text));
}

std::string prose(std::string_view text) {
  std::string result;
  bool is_code = false;
  for (std::size_t begin = 0; begin <= text.size();) {
    std::size_t end = text.find('`', begin);
    if (end == std::string_view::npos) end = text.size();
    const std::string_view part = text.substr(begin, end - begin);
    result += is_code ? bold(part) : escaped_text(part);
    is_code = !is_code;
    begin = end + 1;
  }
  return guarded(result);
}

std::string bold(std::string_view text) {
  return "\\fB" + escaped_text(text) + "\\fR";
}

std::string italic(std::string_view text) {
  return "\\fI" + escaped_text(text) + "\\fR";
}

std::string macro(std::string_view name, std::string_view argument) {
  return "." + std::string(name) + " \"" + std::string(argument) + "\"\n";
}

}  // namespace postpone::manual
