// Whether bytes are text. What comes from tasks and from databases need not be.
#pragma once

#include <cstddef>
#include <string_view>

namespace postpone::sys {

// The bytes of the UTF-8 character that begins at `at`; 0 when none does. Not those that are longer than need
// be, halves of a surrogate pair, or beyond U+10FFFF. REQUIRES: at < text.size().
std::size_t utf8_character_at(std::string_view text, std::size_t at);

// The code point of such a character. REQUIRES: `bytes` is what utf8_character_at() says of it, not 0.
char32_t utf8_code_point(std::string_view text, std::size_t at, std::size_t bytes);

// Whether a terminal or an editor obeys the character instead of showing it: controls, what changes the
// direction of writing, so that a text reads as another one, and what breaks a line. Logs and the command
// line show none of these as they are.
bool is_obeyed(char32_t code_point);

// How many bytes at the end are the beginning of a character that is not complete; 0 to 3.
std::size_t utf8_incomplete_at_end(std::string_view text);

inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD, for what is no character

}  // namespace postpone::sys
