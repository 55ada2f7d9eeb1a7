// Colour, where somebody sees it: on a terminal, unless NO_COLOR (https://no-color.org) is set to anything
// or TERM is "dumb".
#pragma once

#include <string>
#include <string_view>

namespace postpone::cli {

enum class Style {
  plain,
  good,  // ended as it should
  bad,   // wants somebody's attention
  busy,  // at work
  waiting,
  faint,  // of little interest
};

// Whether text that is written to this descriptor may carry colour.
bool is_coloured(int descriptor);

// What switches every style off.
inline constexpr std::string_view kNoStyle = "\x1b[0m";

// The text between the sequences that switch a style on and off; the text itself for Style::plain.
std::string styled(std::string_view text, Style style);

// Of a job's status, with or without more words after it: "doing (abort)".
Style style_of_status(std::string_view status);
// Of a number of things that should not be: plain when there is none.
Style bad_unless_zero(std::string_view number);

}  // namespace postpone::cli
