// Cron expressions: five fields (minute, hour, day of month, month, day of week) and optionally a sixth,
// last, for seconds, as Procrastinate reads them; `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`,
// `@yearly`, `@annually`. A field holds
// `*`, numbers, names (jan, mon), ranges, lists and steps. Sunday is 0 or 7. When both day fields are
// restricted, a day that fits either fits. Times are UTC.
#pragma once

#include <bitset>
#include <chrono>
#include <optional>
#include <string_view>

namespace postpone::subworker {

class Cron {
 public:
  using Time = std::chrono::sys_seconds;

  // Throws std::invalid_argument that says which field is wrong.
  static Cron parse(std::string_view expression);

  // The first tick strictly after `time`; nothing when there is none within the next thirty years (30
  // February).
  std::optional<Time> next_after(Time time) const;

 private:
  bool day_fits(std::chrono::year_month_day day) const;
  std::optional<std::chrono::seconds> first_in_day(std::chrono::seconds from) const;

  std::bitset<60> seconds_;
  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;     // 1-31
  std::bitset<13> months_;   // 1-12
  std::bitset<8> weekdays_;  // 0-6, Sunday first
  bool any_day_ = false;     // the field is a star
  bool any_weekday_ = false;
};

}  // namespace postpone::subworker
