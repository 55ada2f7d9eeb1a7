#include "web/html/format.h"

#include <array>
#include <cmath>
#include <cstdio>

#include "sys/human.h"

namespace postpone::web {
namespace {

using sql::DatabaseTime;
using sql::Seconds;

struct Civil {
  std::int64_t year = 0;
  int month = 0, day = 0, hour = 0, minute = 0, second = 0;
};

// The Gregorian calendar without the limits of std::chrono's years. Days are counted from 1 March of a year
// that 400 divides, so that the leap day is the last of its year.
Civil civil_of(std::int64_t seconds) {
  std::int64_t days = seconds / 86'400;
  std::int64_t rest = seconds % 86'400;
  if (rest < 0) {
    rest += 86'400;
    --days;
  }
  days += 719'468;
  const std::int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const std::int64_t of_era = days - era * 146'097;
  const std::int64_t year = (of_era - of_era / 1'460 + of_era / 36'524 - of_era / 146'096) / 365;
  const std::int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
  const std::int64_t month = (5 * of_year + 2) / 153;
  Civil civil;
  civil.day = static_cast<int>(of_year - (153 * month + 2) / 5 + 1);
  civil.month = static_cast<int>(month < 10 ? month + 3 : month - 9);
  civil.year = year + era * 400 + (civil.month <= 2 ? 1 : 0);
  civil.hour = static_cast<int>(rest / 3600);
  civil.minute = static_cast<int>(rest / 60 % 60);
  civil.second = static_cast<int>(rest % 60);
  return civil;
}

template <class... Numbers>
std::string printed(const char* form, Numbers... numbers) {
  std::array<char, 96> text{};
  std::snprintf(text.data(), text.size(), form, numbers...);
  return text.data();
}

std::string infinite(DatabaseTime time) {
  return time == DatabaseTime::infinity() ? "infinity" : "-infinity";
}

std::string date_text(const Civil& civil) {
  return printed("%04lld-%02d-%02d", static_cast<long long>(civil.year), civil.month, civil.day);
}

// In one unit: who wants to know more points at it.
std::string rough(double seconds) {
  struct Unit {
    double up_to;
    double seconds;
    const char* name;
  };
  constexpr std::array<Unit, 4> kUnits = {
      {{60, 1, " s"}, {3600, 60, " min"}, {48 * 3600, 3600, " h"}, {INFINITY, 86'400, " d"}}};
  for (const Unit& unit : kUnits)
    if (seconds < unit.up_to) return thousands(static_cast<std::int64_t>(seconds / unit.seconds)) + unit.name;
  return "?";
}

}  // namespace

std::string thousands(std::int64_t number) {
  std::string digits = std::to_string(number);
  const std::size_t first = digits.starts_with('-') ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3;) digits.insert(at -= 3, ",");
  return digits;
}

std::string count_text(sql::BoundedCount count) {
  return thousands(count.count) + (count.is_more ? "+" : "");
}

std::string about(std::int64_t number) {
  if (number >= 1'000'000) return printed("≈ %.1f M", static_cast<double>(number) / 1e6);
  return "≈ " + thousands(number >= 1'000 ? number / 100 * 100 : number);
}

std::string size_text(std::int64_t bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return printed(unit == 0 || value >= 100 ? "%.0f " : "%.1f ", value) + kUnits.at(unit);
}

std::string duration_text(Seconds duration) {
  return std::isfinite(duration.count()) ? sys::human_duration(duration) : "for ever";
}

Html duration_or_dash(const std::optional<Seconds>& duration) {
  return duration ? html("{}", duration_text(*duration)) : html("<span class=\"muted\">–</span>");
}

std::string utc_text(DatabaseTime time) {
  if (!time.is_finite()) return infinite(time);
  return date_text(civil_of(time.seconds())) + ' ' + clock_text(time);
}

std::string clock_text(DatabaseTime time) {
  if (!time.is_finite()) return infinite(time);
  const Civil civil = civil_of(time.seconds());
  return printed("%02d:%02d:%02d.%03d", civil.hour, civil.minute, civil.second, time.microseconds() / 1000);
}

std::string iso_text(DatabaseTime time) {
  if (!time.is_finite()) return infinite(time);
  const Civil civil = civil_of(time.seconds());
  return date_text(civil) +
         printed("T%02d:%02d:%02d.%06dZ", civil.hour, civil.minute, civil.second, time.microseconds());
}

Seconds between(DatabaseTime from, DatabaseTime to) {
  if (!from.is_finite() || !to.is_finite())
    return Seconds(from == to ? 0 : (from < to ? INFINITY : -INFINITY));
  return Seconds(static_cast<double>(to.seconds() - from.seconds()) +
                 static_cast<double>(to.microseconds() - from.microseconds()) / 1e6);
}

std::string ago_text(DatabaseTime time, DatabaseTime now) {
  const Seconds age = between(time, now);
  if (std::isinf(age.count())) return age.count() > 0 ? "long ago" : "never";
  const std::string length = rough(std::abs(age.count()));
  if (age.count() < 0) return "in " + length;
  return age < Seconds(1) ? "just now" : length + " ago";
}

Html ago(DatabaseTime time, DatabaseTime now) {
  return html("<time datetime=\"{}\" title=\"{} UTC\">{}</time>", iso_text(time), utc_text(time),
              ago_text(time, now));
}

Html ago_or_dash(const std::optional<DatabaseTime>& time, DatabaseTime now) {
  return time ? ago(*time, now) : html("<span class=\"muted\">–</span>");
}

std::string plural(std::int64_t number, const std::string& noun) {
  return thousands(number) + ' ' + noun + (number == 1 ? "" : "s");
}

}  // namespace postpone::web
