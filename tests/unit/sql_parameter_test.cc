#include <gtest/gtest.h>

#include <chrono>

#include "sql/connection.h"

namespace postpone::sql {
namespace {

using namespace std::chrono_literals;
using std::chrono::sys_days;

constexpr SystemTime at(std::chrono::year_month_day day, std::chrono::microseconds time) {
  return sys_days(day) + time;
}

TEST(Parameters, TimesAreUtcToTheMicrosecond) {
  EXPECT_EQ(to_parameter(at(2026y / 3 / 9, 7h + 5min + 2s + 42us)), "2026-03-09 07:05:02.000042+00");
  EXPECT_EQ(to_parameter(SystemTime{}), "1970-01-01 00:00:00.000000+00");
  EXPECT_EQ(to_parameter(at(1969y / 12 / 31, 23h + 59min + 59s + 999999us)), "1969-12-31 23:59:59.999999+00");
}

TEST(Parameters, TheEndsOfTimeAreInfinite) {
  EXPECT_EQ(to_parameter(SystemTime::max()), "infinity");
  EXPECT_EQ(to_parameter(SystemTime::min()), "-infinity");
}

TEST(Parameters, ArraysQuoteWhatTheyHold) {
  EXPECT_EQ(to_parameter(std::vector<std::string>{}), "{}");
  EXPECT_EQ(to_parameter(std::vector<std::string>{"a", "", "b,c", "say \"x\"", "\\", "NULL"}),
            R"({"a","","b,c","say \"x\"","\\","NULL"})");
  EXPECT_EQ(to_parameter(std::vector<Parameter>{"a", std::nullopt}), R"({"a",NULL})");
  EXPECT_EQ(to_parameter(std::vector<std::int64_t>{1, -2}), "{1,-2}");
}

TEST(Parameters, NumbersAreExact) {
  EXPECT_EQ(to_parameter(0.1), "0.1");
  EXPECT_EQ(to_parameter(std::int64_t{-9223372036854775807}), "-9223372036854775807");
  EXPECT_EQ(to_parameter(true), "t");
  EXPECT_EQ(to_parameter(std::optional<int>{}), std::nullopt);
  EXPECT_EQ(to_parameter(std::optional<int>{5}), "5");
}

}  // namespace
}  // namespace postpone::sql
