// Times as people and programs write them.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "sql/job.h"

namespace postpone::cli {

using Timestamp = std::chrono::system_clock::time_point;

// Reads ISO 8601: "2025-03-30", "2025-03-30T14:05", "2025-03-30 14:05:09.25". A time of day may be followed
// by "Z", "+02" or "+02:00"; without one of these the local time zone (TZ) is meant. A second may have nine
// digits behind its point; the database holds six, and the others are dropped. Nothing when the text has
// another form, or names no time (February 30th, 25 o'clock) of the years 1678 to 2261.
std::optional<Timestamp> parse_timestamp(std::string_view text);

// "2025-03-30 14:05:09.250", in the local time zone, for people; "infinity", "-infinity". Years before the
// first are written as PostgreSQL does, "0044-03-15 12:00:00.000 BC".
std::string to_local(sql::DatabaseTime time);
// "2025-03-30T12:05:09.250000Z", for programs; infinities and years before the first likewise.
std::string to_iso(sql::DatabaseTime time);

}  // namespace postpone::cli
