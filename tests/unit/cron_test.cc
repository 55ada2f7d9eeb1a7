#include "libtask/wire/cron.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace libtask::wire {
namespace {

using namespace std::chrono_literals;
using std::chrono::sys_days;
using testing::ElementsAre;

Cron::Time at(int year, int month, int day, int hour = 0, int minute = 0, int second = 0) {
  const std::chrono::year_month_day date = std::chrono::year(year) / month / day;
  return sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second);
}

// The next ticks after `time`.
std::vector<Cron::Time> ticks(const char* expression, Cron::Time time, int count) {
  const Cron cron = Cron::parse(expression);
  std::vector<Cron::Time> found;
  for (auto tick = cron.next_after(time); tick && count > 0; tick = cron.next_after(*tick), --count)
    found.push_back(*tick);
  return found;
}

// What is wrong with an expression; empty when it is read.
std::string fault(std::string_view expression) {
  try {
    Cron::parse(expression);
    return "";
  } catch (const CronError& error) {
    return error.what();
  }
}

TEST(Cron, EveryMinuteTicksAtItsFullSecond) {
  EXPECT_THAT(ticks("* * * * *", at(2024, 5, 1, 12, 30, 15), 2),
              ElementsAre(at(2024, 5, 1, 12, 31), at(2024, 5, 1, 12, 32)));
}

TEST(Cron, TickLiesStrictlyAfterTheTimeAsked) {
  EXPECT_EQ(Cron::parse("30 12 * * *").next_after(at(2024, 5, 1, 12, 30)), at(2024, 5, 2, 12, 30));
  EXPECT_EQ(Cron::parse("30 12 * * *").next_after(at(2024, 5, 1, 12, 30) - 1s), at(2024, 5, 1, 12, 30));
}

TEST(Cron, NightRollsOverTheEndOfTheYear) {
  EXPECT_THAT(ticks("0 0 * * *", at(2023, 12, 31, 23, 59, 59), 1), ElementsAre(at(2024, 1, 1)));
}

TEST(Cron, StepsCountFromTheBeginningOfTheirRange) {
  EXPECT_THAT(ticks("*/20 * * * *", at(2024, 5, 1), 3),
              ElementsAre(at(2024, 5, 1, 0, 20), at(2024, 5, 1, 0, 40), at(2024, 5, 1, 1)));
  EXPECT_THAT(ticks("0 9-17/4 * * *", at(2024, 5, 1), 4),
              ElementsAre(at(2024, 5, 1, 9), at(2024, 5, 1, 13), at(2024, 5, 1, 17), at(2024, 5, 2, 9)));
}

TEST(Cron, StepFromANumberRunsToTheEnd) {
  EXPECT_THAT(ticks("50/5 * * * *", at(2024, 5, 1), 3),
              ElementsAre(at(2024, 5, 1, 0, 50), at(2024, 5, 1, 0, 55), at(2024, 5, 1, 1, 50)));
}

TEST(Cron, StepBeyondTheFieldIsItsFirstValueOnly) {
  EXPECT_THAT(ticks("*/90 * * * *", at(2024, 5, 1), 2), ElementsAre(at(2024, 5, 1, 1), at(2024, 5, 1, 2)));
  EXPECT_THAT(ticks("59/2147483647 * * * *", at(2024, 5, 1), 1), ElementsAre(at(2024, 5, 1, 0, 59)));
}

TEST(Cron, ListsAreUnions) {
  EXPECT_THAT(ticks("5,10-11,40/10 0 * * *", at(2024, 5, 1), 5),
              ElementsAre(at(2024, 5, 1, 0, 5), at(2024, 5, 1, 0, 10), at(2024, 5, 1, 0, 11),
                          at(2024, 5, 1, 0, 40), at(2024, 5, 1, 0, 50)));
}

TEST(Cron, NamesStandForMonthsAndDays) {
  EXPECT_THAT(ticks("0 0 1 FEB,apr *", at(2024, 1, 15), 2), ElementsAre(at(2024, 2, 1), at(2024, 4, 1)));
  EXPECT_THAT(ticks("0 0 * * mon-Tue", at(2024, 5, 1), 3),
              ElementsAre(at(2024, 5, 6), at(2024, 5, 7), at(2024, 5, 13)));
}

TEST(Cron, SundayIsZeroAndSeven) {
  for (const char* sunday : {"0 0 * * 0", "0 0 * * 7", "0 0 * * sun"})
    EXPECT_THAT(ticks(sunday, at(2024, 5, 1), 2), ElementsAre(at(2024, 5, 5), at(2024, 5, 12))) << sunday;
  EXPECT_THAT(ticks("0 0 * * 5-7", at(2024, 5, 1), 4),
              ElementsAre(at(2024, 5, 3), at(2024, 5, 4), at(2024, 5, 5), at(2024, 5, 10)));
}

TEST(Cron, EitherDayFieldFitsWhenBothAreRestricted) {
  EXPECT_THAT(
      ticks("0 0 13 * fri", at(2024, 5, 1), 5),
      ElementsAre(at(2024, 5, 3), at(2024, 5, 10), at(2024, 5, 13), at(2024, 5, 17), at(2024, 5, 24)));
}

TEST(Cron, OneRestrictedDayFieldDecidesAlone) {
  EXPECT_THAT(ticks("0 0 13 * *", at(2024, 5, 1), 2), ElementsAre(at(2024, 5, 13), at(2024, 6, 13)));
  EXPECT_THAT(ticks("0 0 * * fri", at(2024, 5, 1), 2), ElementsAre(at(2024, 5, 3), at(2024, 5, 10)));
}

TEST(Cron, DayFieldThatBeginsWithAStarOrListsEveryDayDoesNotRestrict) {
  const auto mondays = ElementsAre(at(2024, 5, 6), at(2024, 5, 13));
  EXPECT_THAT(ticks("0 0 */1 * 1", at(2024, 5, 1), 2), mondays);
  EXPECT_THAT(ticks("0 0 *,7 * 1", at(2024, 5, 1), 2), mondays);
  EXPECT_THAT(ticks("0 0 1-31 * 1", at(2024, 5, 1), 2), mondays);
  const auto firsts = ElementsAre(at(2024, 6, 1), at(2024, 7, 1));
  EXPECT_THAT(ticks("0 0 1 * */1", at(2024, 5, 1), 2), firsts);
  EXPECT_THAT(ticks("0 0 1 * 0-6", at(2024, 5, 1), 2), firsts);
  EXPECT_THAT(ticks("0 0 1 * mon-fri,6-7", at(2024, 5, 1), 2), firsts);
}

TEST(Cron, SteppedStarIsADayThatBothFieldsFit) {
  EXPECT_THAT(ticks("0 0 */10 * mon", at(2024, 5, 1), 4),
              ElementsAre(at(2024, 7, 1), at(2024, 10, 21), at(2024, 11, 11), at(2025, 3, 31)));
}

TEST(Cron, WhatComesButRarelyIsFound) {
  EXPECT_THAT(ticks("0 0 29 2 */7", at(2088, 3, 1), 1), ElementsAre(at(2128, 2, 29)));
}

TEST(Cron, LeapDayComesInLeapYearsOnly) {
  EXPECT_THAT(ticks("0 0 29 2 *", at(2024, 3, 1), 2), ElementsAre(at(2028, 2, 29), at(2032, 2, 29)));
  EXPECT_THAT(ticks("0 0 29 2 *", at(2096, 3, 1), 1), ElementsAre(at(2104, 2, 29)));  // 2100 is none
}

TEST(Cron, ThirtyFirstSkipsShortMonths) {
  EXPECT_THAT(ticks("0 12 31 * *", at(2024, 3, 31, 12), 2),
              ElementsAre(at(2024, 5, 31, 12), at(2024, 7, 31, 12)));
}

TEST(Cron, DateThatNeverComesIsRefused) {
  EXPECT_EQ(fault("0 0 30 2 *"), "the day never comes: \"30\" of month \"2\"");
  for (const char* never : {"0 0 31 4,6,9,11 *", "0 0 30-31 feb *", "0 0 30 2 */2", "0 0 31 feb 0-7"})
    EXPECT_NE(fault(never), "") << never;
  for (const char* rare : {"0 0 29 2 *", "0 0 30 2 1", "0 0 30 2-3 *", "0 0 31 1 *"})
    EXPECT_EQ(fault(rare), "") << rare;
}

TEST(Cron, SixthFieldIsTheSecond) {
  EXPECT_THAT(ticks("1 2 * * * 3", at(2024, 5, 1), 1), ElementsAre(at(2024, 5, 1, 2, 1, 3)));
  EXPECT_THAT(ticks("* * * * * */30", at(2024, 5, 1), 3),
              ElementsAre(at(2024, 5, 1, 0, 0, 30), at(2024, 5, 1, 0, 1), at(2024, 5, 1, 0, 1, 30)));
}

TEST(Cron, AliasesStandForTheirSchedules) {
  const auto start = at(2024, 5, 1, 12, 30);
  EXPECT_EQ(Cron::parse("@hourly").next_after(start), at(2024, 5, 1, 13));
  for (const char* daily : {"@daily", "@midnight"})
    EXPECT_EQ(Cron::parse(daily).next_after(start), at(2024, 5, 2));
  EXPECT_EQ(Cron::parse("@weekly").next_after(start), at(2024, 5, 5));
  EXPECT_EQ(Cron::parse("@monthly").next_after(start), at(2024, 6, 1));
  for (const char* yearly : {"@yearly", "@annually"})
    EXPECT_EQ(Cron::parse(yearly).next_after(start), at(2025, 1, 1));
}

TEST(Cron, ExtraBlanksDoNotMatter) {
  EXPECT_THAT(ticks("  0\t 3  * * *  ", at(2024, 5, 1), 1), ElementsAre(at(2024, 5, 1, 3)));
}

TEST(Cron, WrongNumberOfFieldsIsTold) {
  EXPECT_EQ(fault(""), "it needs five fields (or six, seconds last), not 0");
  EXPECT_EQ(fault("* * * *"), "it needs five fields (or six, seconds last), not 4");
  EXPECT_EQ(fault("@often"), "it needs five fields (or six, seconds last), not 1");
}

TEST(Cron, FieldThatIsWrongIsNamed) {
  EXPECT_EQ(fault("60 * * * *"), "\"60\" cannot be its minute (0 to 59)");
  EXPECT_EQ(fault("* 24 * * *"), "\"24\" cannot be its hour (0 to 23)");
  EXPECT_EQ(fault("* * 0 * *"), "\"0\" cannot be its day of month (1 to 31)");
  EXPECT_EQ(fault("* * * 13 *"), "\"13\" cannot be its month (1 to 12)");
  EXPECT_EQ(fault("* * * * 8"), "\"8\" cannot be its day of week (0 to 7)");
  EXPECT_EQ(fault("* * * * * */0"), "\"*/0\" cannot be its second (0 to 59)");
}

TEST(Cron, CommonSchedulesAreRead) {
  for (const char* good :
       {"* * * * *", "*/5 * * * *", "0 3 1,15 * *", "0 9-17/2 * jan-mar mon-FRI", "5/10 * * * *",
        "0 0 1 1 7 59", "*/90 * * * *", "*/2147483647 * * * *", "0 0 31 dec sun", " 0  4 * * 7 ", "@weekly"})
    EXPECT_EQ(fault(good), "") << good;
}

TEST(Cron, ItemsWithoutSenseAreRefused) {
  for (const char* bad :
       {"24 24 * * *",    "* * 32 * *",  "* * * 0 *",     "* * * * 8",     "* * * * * 60",
        "a * * * *",      "1- * * * *",  "-1 * * * *",    "5-1 * * * *",   "*/0 * * * *",
        "*/-1 * * * *",   "*/ * * * *",  "/2 * * * *",    "*/2/3 * * * *", "1,,2 * * * *",
        ", * * * *",      "mon * * * *", "1-2-3 * * * *", "** * * * *",    "99999999999 * * * *",
        "* * * * fri-sun"})
    EXPECT_NE(fault(bad), "") << bad;
}

}  // namespace
}  // namespace libtask::wire
