// Cron expressions: five fields (minute, hour, day of month, month, day of week) and optionally a sixth,
// last, for seconds, as Procrastinate reads them; `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`,
// `@yearly`, `@annually`. A field holds `*`, numbers, names (jan, mon), ranges, lists and steps. Sunday is 0
// or 7. Fields mean UTC, unless a ZonedCron (zoned_cron.h) makes them mean the clocks of a time zone.
//
// The two day fields, as in cron: a field that begins with `*`, or that lists every day, does not restrict.
// When both restrict, a day has to fit one of them; else it has to fit both.
//
// With this code libtask refuses impossible expressions, and the housekeeper finds the ticks.
#pragma once

#include <bitset>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string_view>

namespace libtask::wire {

// what() says what is wrong, in words that follow the expression: "\"60\" cannot be its minute (0 to 59)".
class CronError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Cron {
 public:
  using Time = std::chrono::sys_seconds;

  // Throws CronError, also for an expression whose day never comes (30 February).
  static Cron parse(std::string_view expression);

  // The first tick strictly after `time`, looked for in 41 years: two 29 February on the same day of the week
  // may lie so far apart. Nothing when there is none; parse() takes no expression of that kind.
  std::optional<Time> next_after(Time time) const;

  // The hour field begins with `*`, or lists all hours: the expression means an interval rather than times of
  // day.
  bool has_any_hour() const { return any_hour_; }

 private:
  bool day_fits(std::chrono::year_month_day day) const;
  bool some_day_fits() const;
  std::optional<std::chrono::seconds> first_in_day(std::chrono::seconds from) const;

  std::bitset<60> seconds_;
  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;     // 1-31
  std::bitset<13> months_;   // 1-12
  std::bitset<8> weekdays_;  // 0-6, Sunday first
  bool any_hour_ = false;
  bool any_day_ = false;  // the field does not restrict
  bool any_weekday_ = false;
};

}  // namespace libtask::wire
