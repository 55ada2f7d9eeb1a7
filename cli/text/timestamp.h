// Moments as people and programs write them.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "sql/job.h"

namespace postpone::cli {

using Timestamp = std::chrono::system_clock::time_point;

// ISO 8601: "2025-03-30", "2025-03-30T14:05", "2025-03-30 14:05:09.25", each with "Z", "+02" or "+02:00"
// after the time of day, or without, which means the local time zone (TZ). A second may have nine digits
// behind its point, of which those after the sixth, more than the database holds, are dropped. Nothing when
// the text is not of that form, or names no moment (February 30th, 25 o'clock) of the years 1678 to 2261.
std::optional<Timestamp> parse_timestamp(std::string_view text);

// "2025-03-30 14:05:09.250", in the local time zone, for people; "infinity", "-infinity". Years before the
// first are written as PostgreSQL does, "0044-03-15 12:00:00.000 BC".
std::string to_local(sql::DatabaseTime time);
// "2025-03-30T12:05:09.250000Z", for programs; the others likewise.
std::string to_iso(sql::DatabaseTime time);

}  // namespace postpone::cli
