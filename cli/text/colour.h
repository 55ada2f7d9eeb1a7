// Colour, for terminals only, unless NO_COLOR (https://no-color.org) is set to anything or TERM is "dumb".
#pragma once

#include <string>
#include <string_view>

namespace postpone::cli {

enum class Style {
  plain,
  good,  // a success
  bad,   // a person should look at it
  busy,  // at work
  waiting,
  faint,  // of little interest
};

// Whether text that is written to this descriptor may be coloured.
bool is_coloured(int descriptor);

// The sequence that switches every style off.
inline constexpr std::string_view kNoStyle = "\x1b[0m";

// The text between the sequences that switch a style on and off; the text itself for Style::plain.
std::string styled(std::string_view text, Style style);

// The style of a job's status, with or without more words after it: "doing (abort)".
Style style_of_status(std::string_view status);
// The style of a number of failures: plain when there are none.
Style bad_unless_zero(std::string_view number);

}  // namespace postpone::cli
