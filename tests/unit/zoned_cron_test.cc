// Ticks where clocks change. The zones are written as rules here, so that no file of the host matters.
#include "libtask/wire/zoned_cron.h"

#include <gmock/gmock.h>

#include <cstdio>
#include <string>
#include <vector>

namespace libtask::wire {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

constexpr const char* kParis = "CET-1CEST,M3.5.0,M10.5.0/3";
constexpr const char* kNewYork = "EST5EDT,M3.2.0,M11.1.0";
constexpr const char* kLordHowe = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0";  // half an hour of summer
constexpr const char* kKolkata = "IST-5:30";
constexpr const char* kStJohns = "NST3:30NDT,M3.2.0,M11.1.0";

Cron::Time at(int year, int month, int day, int hour = 0, int minute = 0) {
  return std::chrono::sys_days(std::chrono::year(year) / month / day) + std::chrono::hours(hour) +
         std::chrono::minutes(minute);
}

// "03-31 03:00+0200", as the clocks there show it.
std::string shown(const Zone& zone, Cron::Time tick) {
  const auto offset = zone.period_at(tick).offset;
  const auto local = tick + offset;
  const auto day = std::chrono::floor<std::chrono::days>(local);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(local - day);
  const auto minutes = static_cast<int>(offset / 1min);
  char text[64];
  std::snprintf(text, sizeof text, "%02u-%02u %02d:%02d%c%02d%02d", unsigned(date.month()),
                unsigned(date.day()), static_cast<int>(time.hours().count()),
                static_cast<int>(time.minutes().count()), minutes < 0 ? '-' : '+', std::abs(minutes) / 60,
                std::abs(minutes) % 60);
  return text;
}

std::vector<std::string> ticks(const char* expression, const char* rule, Cron::Time after, int count) {
  const ZonedCron cron{Cron::parse(expression), Zone::of_rule(rule)};
  std::vector<std::string> found;
  for (auto tick = cron.next_after(after); tick && count > 0; tick = cron.next_after(*tick), --count)
    found.push_back(shown(cron.zone, *tick));
  return found;
}

TEST(ZonedCron, WithoutAZoneIsUtc) {
  EXPECT_EQ((ZonedCron{Cron::parse("30 2 * * *")}.next_after(at(2024, 5, 1))), at(2024, 5, 1, 2, 30));
}

TEST(ZonedCron, NightlyReportIsAtTheSameHourInSummerAndWinter) {
  EXPECT_THAT(ticks("0 6 * * *", kParis, at(2024, 3, 30), 3),
              ElementsAre("03-30 06:00+0100", "03-31 06:00+0200", "04-01 06:00+0200"));
  EXPECT_THAT(ticks("0 6 * * *", kParis, at(2024, 10, 26), 3),
              ElementsAre("10-26 06:00+0200", "10-27 06:00+0100", "10-28 06:00+0100"));
}

TEST(ZonedCron, TimeThatDoesNotExistTicksWhenTheClocksJump) {
  EXPECT_THAT(ticks("30 2 * * *", kParis, at(2024, 3, 30), 3),
              ElementsAre("03-30 02:30+0100", "03-31 03:00+0200", "04-01 02:30+0200"));
  EXPECT_THAT(ticks("30 2 * * *", kNewYork, at(2024, 3, 9, 12), 2),
              ElementsAre("03-10 03:00-0400", "03-11 02:30-0400"));
}

TEST(ZonedCron, TimesOfAGapTickTogetherAndWithWhatTicksThen) {
  EXPECT_THAT(ticks("0,20,40 2 * * *", kParis, at(2024, 3, 31), 2),
              ElementsAre("03-31 03:00+0200", "04-01 02:00+0200"));
  EXPECT_THAT(ticks("30 2,3 * * *", kParis, at(2024, 3, 31), 3),
              ElementsAre("03-31 03:00+0200", "03-31 03:30+0200", "04-01 02:30+0200"));
  EXPECT_THAT(ticks("0 2-3 * * *", kParis, at(2024, 3, 31), 2),
              ElementsAre("03-31 03:00+0200", "04-01 02:00+0200"));
}

TEST(ZonedCron, TickAtTheEndOfTheGapIsOrdinary) {
  EXPECT_THAT(ticks("0 3 * * *", kParis, at(2024, 3, 31), 2),
              ElementsAre("03-31 03:00+0200", "04-01 03:00+0200"));
}

TEST(ZonedCron, TimeThatComesTwiceTicksTheFirstTime) {
  EXPECT_THAT(ticks("30 2 * * *", kParis, at(2024, 10, 26, 12), 2),
              ElementsAre("10-27 02:30+0200", "10-28 02:30+0100"));
  EXPECT_THAT(ticks("30 1 * * *", kNewYork, at(2024, 11, 2, 12), 2),
              ElementsAre("11-03 01:30-0400", "11-04 01:30-0500"));
  EXPECT_THAT(ticks("0,30 1-3 * * *", kParis, at(2024, 10, 26, 12), 7),
              ElementsAre("10-27 01:00+0200", "10-27 01:30+0200", "10-27 02:00+0200", "10-27 02:30+0200",
                          "10-27 03:00+0100", "10-27 03:30+0100", "10-28 01:00+0100"));
}

// Asked from within the hour that comes again.
TEST(ZonedCron, TimeThatComesTwiceHasTickedWhenItComesAgain) {
  EXPECT_THAT(ticks("30 2 * * *", kParis, at(2024, 10, 27, 1, 10), 1), ElementsAre("10-28 02:30+0100"));
}

TEST(ZonedCron, IntervalGoesOnThroughTheHourThatComesTwice) {
  EXPECT_THAT(ticks("*/30 * * * *", kParis, at(2024, 10, 26, 23, 45), 6),
              ElementsAre("10-27 02:00+0200", "10-27 02:30+0200", "10-27 02:00+0100", "10-27 02:30+0100",
                          "10-27 03:00+0100", "10-27 03:30+0100"));
  EXPECT_THAT(ticks("0 0-23 * * *", kParis, at(2024, 10, 26, 23, 45), 3),
              ElementsAre("10-27 02:00+0200", "10-27 02:00+0100", "10-27 03:00+0100"));
}

TEST(ZonedCron, IntervalGoesOnThroughTheGap) {
  EXPECT_THAT(ticks("*/30 * * * *", kParis, at(2024, 3, 31, 0, 10), 4),
              ElementsAre("03-31 01:30+0100", "03-31 03:00+0200", "03-31 03:30+0200", "03-31 04:00+0200"));
}

TEST(ZonedCron, HalfAnHourOfSummer) {
  EXPECT_THAT(ticks("15 2 * * *", kLordHowe, at(2024, 10, 4), 3),
              ElementsAre("10-05 02:15+1030", "10-06 02:30+1100", "10-07 02:15+1100"));
  EXPECT_THAT(ticks("45 1 * * *", kLordHowe, at(2025, 4, 4), 3),
              ElementsAre("04-05 01:45+1100", "04-06 01:45+1100", "04-07 01:45+1030"));
  EXPECT_THAT(ticks("*/15 * * * *", kLordHowe, at(2025, 4, 5, 14, 20), 5),
              ElementsAre("04-06 01:30+1100", "04-06 01:45+1100", "04-06 01:30+1030", "04-06 01:45+1030",
                          "04-06 02:00+1030"));
}

TEST(ZonedCron, ZonesOfHalfHours) {
  EXPECT_EQ((ZonedCron{Cron::parse("0 9 * * *"), Zone::of_rule(kKolkata)}.next_after(at(2024, 5, 1))),
            at(2024, 5, 1, 3, 30));
  EXPECT_THAT(ticks("15 2 * * *", kStJohns, at(2024, 3, 9, 12), 2),
              ElementsAre("03-10 03:00-0230", "03-11 02:15-0230"));
}

TEST(ZonedCron, DayAndWeekdayAreThoseOfTheZone) {
  EXPECT_THAT(ticks("30 0 1 * *", kKolkata, at(2024, 4, 30), 1), ElementsAre("05-01 00:30+0530"));
  EXPECT_THAT(ticks("0 23 * * sun", kNewYork, at(2024, 5, 1), 1), ElementsAre("05-05 23:00-0400"));
}

TEST(ZonedCron, WhatComesButRarelyIsFound) {
  EXPECT_EQ((ZonedCron{Cron::parse("0 0 29 2 *"), Zone::of_rule(kParis)}.next_after(at(2096, 3, 1))),
            at(2104, 2, 28, 23));
}

// Each tick lies after the one before, and each is found from any time before it.
TEST(ZonedCron, TicksAreAsAStrictOrder) {
  for (const char* rule : {kParis, kNewYork, kLordHowe, kStJohns}) {
    for (const char* expression : {"*/7 * * * *", "30 2 * * *", "15,45 1-3 * * *", "0 */2 * * *"}) {
      const ZonedCron cron{Cron::parse(expression), Zone::of_rule(rule)};
      for (const Cron::Time begin : {at(2024, 3, 8), at(2024, 3, 30), at(2024, 4, 5), at(2024, 10, 4),
                                     at(2024, 10, 26), at(2024, 11, 2)}) {
        auto next = cron.next_after(begin);
        for (Cron::Time time = begin; time < begin + 48h; time += 1min) {
          if (time >= *next) {
            const auto following = cron.next_after(*next);
            ASSERT_GT(*following, *next) << expression << " " << rule;
            next = following;
          }
          ASSERT_EQ(cron.next_after(time), next)
              << expression << " " << rule << " " << shown(cron.zone, time);
        }
      }
    }
  }
}

}  // namespace
}  // namespace libtask::wire
