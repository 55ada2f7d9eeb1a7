// Moments as people and programs write them.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace postpone::cli {

using Timestamp = std::chrono::system_clock::time_point;

// ISO 8601: "2025-03-30", "2025-03-30T14:05", "2025-03-30 14:05:09.25", each with "Z", "+02" or "+02:00"
// after the time of day, or without, which means the local time zone (TZ). Microseconds at most. Nothing when
// the text is not of that form, or names no moment (February 30th, 25 o'clock) of the years 1678 to 2261.
std::optional<Timestamp> parse_timestamp(std::string_view text);

// "2025-03-30 14:05:09.250", in the local time zone, for people.
std::string to_local(Timestamp time);
// "2025-03-30T12:05:09.250000Z", for programs.
std::string to_iso(Timestamp time);

}  // namespace postpone::cli
