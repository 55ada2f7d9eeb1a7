// Text that a terminal shows, and does not obey.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "sys/human.h"

namespace postpone::cli {

// The text without anything that a terminal would obey instead of showing it, so that a job's arguments can
// neither move the cursor nor pretend to be another text. Control characters and bytes that are no UTF-8
// become \n, \t, \xNN or \u00NN; characters that break a line or change the direction of writing (bidi
// controls) become \uNNNN.
std::string printable(std::string_view text);

// How many columns of a terminal the text takes; it may be styled().
std::size_t display_width(std::string_view text);
// The text within so many columns. A text that was cut ends in "...", and switches off the style that was on.
std::string cut(const std::string& text, std::size_t width);

// "1.2 GiB", "850 B".
std::string human_size(std::int64_t bytes);
using sys::human_duration;

}  // namespace postpone::cli
