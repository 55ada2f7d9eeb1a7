// Numbers and moments as the pages write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sql/fleet.h"
#include "web/html/html.h"

namespace postpone::web {

// "15,293".
std::string thousands(std::int64_t number);
// The same of a count that ends somewhere: "10,000+".
std::string count_text(sql::BoundedCount count);
// An estimate: "≈ 4.9 M", "≈ 12,400".
std::string about(std::int64_t number);
// "1.2 GiB", "850 B".
std::string size_text(std::int64_t bytes);
// "412 ms"; "for ever" of an infinite one.
std::string duration_text(sql::Seconds duration);
// The same where there may be none: a dash.
Html duration_or_dash(const std::optional<sql::Seconds>& duration);

// "2026-11-24 14:32:04.123", in UTC; also of years that only PostgreSQL knows, and "infinity".
std::string utc_text(sql::DatabaseTime time);
// "14:32:04.123".
std::string clock_text(sql::DatabaseTime time);
// "2026-11-24T14:32:04.123456Z", for programs.
std::string iso_text(sql::DatabaseTime time);
sql::Seconds between(sql::DatabaseTime from, sql::DatabaseTime to);  // infinite where one of them is

// "3 s ago", or "in 4 min"; the exact moment on hover.
Html ago(sql::DatabaseTime time, sql::DatabaseTime now);
Html ago_or_dash(const std::optional<sql::DatabaseTime>& time, sql::DatabaseTime now);
// "3 s ago", "in 4 min", without markup.
std::string ago_text(sql::DatabaseTime time, sql::DatabaseTime now);

// "1 job", "12 jobs".
std::string plural(std::int64_t number, const std::string& noun);

}  // namespace postpone::web
