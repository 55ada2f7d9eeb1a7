// Whether a text may be given to the TOML parser. For .cc files of this room only.
#pragma once

#include <optional>
#include <string_view>

#include "config/config.h"

namespace postpone::config {

inline constexpr const char* kTooLarge = "larger than 1 MiB, which no configuration is";

// The parser calls itself for each part of a dotted key, and for each array and table inside of another one:
// a text with too many of them would use up its stack. Nothing when the text has not. Pure.
std::optional<Problem> problem_of_shape(std::string_view text);

}  // namespace postpone::config
