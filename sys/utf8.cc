#include "sys/utf8.h"

#include <array>

namespace postpone::sys {
namespace {

bool continues(std::string_view text, std::size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
}

// Of a character that begins so; 0 when none does.
std::size_t length_by(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

}  // namespace

std::size_t utf8_character_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned char lead = byte(0);
  const std::size_t length = length_by(lead);
  for (std::size_t i = 1; i < length; ++i)
    if (!continues(text, at + i)) return 0;
  if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F)) return 0;
  if ((lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F)) return 0;
  return length;
}

char32_t utf8_code_point(std::string_view text, std::size_t at, std::size_t bytes) {
  constexpr std::array<unsigned, 5> kLeadBits = {0, 0x7F, 0x1F, 0x0F, 0x07};
  char32_t code_point = static_cast<unsigned char>(text[at]) & kLeadBits.at(bytes);
  for (std::size_t i = 1; i < bytes; ++i)
    code_point = code_point << 6U | (static_cast<unsigned char>(text[at + i]) & 0x3FU);
  return code_point;
}

bool is_obeyed(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x61C || c == 0x200E || c == 0x200F ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

std::size_t utf8_incomplete_at_end(std::string_view text) {
  for (std::size_t behind = 1; behind <= 3 && behind <= text.size(); ++behind) {
    const std::size_t at = text.size() - behind;
    if (continues(text, at)) continue;
    return length_by(static_cast<unsigned char>(text[at])) > behind ? behind : 0;
  }
  return 0;
}

}  // namespace postpone::sys
