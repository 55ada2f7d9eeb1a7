// Whether bytes are text. What comes from tasks and from databases need not be.
#pragma once

#include <cstddef>
#include <string_view>

namespace postpone::sys {

// The bytes of the UTF-8 character that begins at `at`; 0 when none does. Not those that are longer than need
// be, halves of a surrogate pair, or beyond U+10FFFF. REQUIRES: at < text.size().
std::size_t utf8_character_at(std::string_view text, std::size_t at);

// How many bytes at the end are the beginning of a character that is not complete; 0 to 3.
std::size_t utf8_incomplete_at_end(std::string_view text);

inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD, for what is no character

}  // namespace postpone::sys
