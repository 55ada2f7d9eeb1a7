// Offsets of time zones: by rule, by file, and as the C library has them.
#include "libtask/wire/zone.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <ctime>
#include <string>

namespace libtask::wire {
namespace {

using namespace std::chrono_literals;
using std::chrono::seconds;

constexpr const char* kParis = "CET-1CEST,M3.5.0,M10.5.0/3";

Zone::Time at(int year, unsigned month, unsigned day, int hour = 0, int minute = 0) {
  return std::chrono::sys_days(std::chrono::year(year) / static_cast<int>(month) / static_cast<int>(day)) +
         std::chrono::hours(hour) + std::chrono::minutes(minute);
}

std::string fault_of_rule(const char* rule) {
  try {
    Zone::of_rule(rule);
    return "";
  } catch (const ZoneError& error) {
    return error.what();
  }
}

std::string fault_of_load(const char* name) {
  try {
    Zone::load(name);
    return "";
  } catch (const ZoneError& error) {
    return error.what();
  }
}

// A file of version 2 with one change, from +1 h to +2 h, and a rule.
std::string file_of(Zone::Time change, const std::string& rule) {
  const auto big = [](std::uint64_t number, int bytes) {
    std::string text;
    for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(number >> (8 * i) & 0xFF);
    return text;
  };
  const auto header = [&](int times, int types) {
    return "TZif2" + std::string(15, '\0') + big(0, 4) + big(0, 4) + big(0, 4) +
           big(static_cast<unsigned>(times), 4) + big(static_cast<unsigned>(types), 4) + big(4, 4);
  };
  const std::string type = big(3600, 4) + std::string(2, '\0');
  const std::string later = big(7200, 4) + std::string(2, '\0');
  const std::string names = std::string("CET") + '\0';
  return header(0, 1) + type + names + header(1, 2) +
         big(static_cast<std::uint64_t>(change.time_since_epoch().count()), 8) + '\1' + type + later + names +
         "\n" + rule + "\n";
}

TEST(Zone, UtcHasOneEndlessPeriod) {
  const auto period = Zone().period_at(at(2024, 5, 1));
  EXPECT_EQ(period.offset, 0s);
  EXPECT_FALSE(period.begin || period.end);
}

TEST(Zone, RuleGivesSummerAndWinter) {
  const Zone paris = Zone::of_rule(kParis);
  const auto summer = paris.period_at(at(2024, 7, 1));
  EXPECT_EQ(summer.offset, 2h);
  EXPECT_EQ(summer.begin, at(2024, 3, 31, 1));
  EXPECT_EQ(summer.end, at(2024, 10, 27, 1));
  const auto winter = paris.period_at(at(2024, 10, 27, 1));
  EXPECT_EQ(winter.offset, 1h);
  EXPECT_EQ(winter.end, at(2025, 3, 30, 1));
}

TEST(Zone, SouthernSummerGoesOverTheNewYear) {
  const Zone lord_howe = Zone::of_rule("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0");
  const auto summer = lord_howe.period_at(at(2025, 1, 1));
  EXPECT_EQ(summer.offset, 11h);
  EXPECT_EQ(summer.begin, at(2024, 10, 5, 15, 30));
  EXPECT_EQ(summer.end, at(2025, 4, 5, 15));
  EXPECT_EQ(lord_howe.period_at(at(2025, 7, 1)).offset, 10h + 30min);
}

TEST(Zone, RuleMayCountDaysOfTheYearAndNegativeHours) {
  const Zone days = Zone::of_rule("AAA0BBB,J60/0,J365/0");
  EXPECT_EQ(fault_of_rule("AAA0BBB,J0,J5"), "it has no rule for the times after its last line");
  EXPECT_EQ(days.period_at(at(2024, 3, 1, 1)).begin, at(2024, 3, 1)) << "29 February does not count";
  EXPECT_EQ(days.period_at(at(2023, 3, 1, 1)).begin, at(2023, 3, 1));
  EXPECT_EQ(Zone::of_rule("AAA0BBB,59/0,300/0").period_at(at(2024, 2, 29, 1)).begin, at(2024, 2, 29));
  const Zone nuuk = Zone::of_rule("<-02>2<-01>,M3.5.0/-1,M10.5.0/0");
  EXPECT_EQ(nuuk.period_at(at(2024, 7, 1)).begin, at(2024, 3, 31, 1));
}

TEST(Zone, RuleWithoutSummerIsOneOffset) {
  EXPECT_EQ(Zone::of_rule("<+0545>-5:45").period_at(at(2050, 1, 1)).offset, 5h + 45min);
}

TEST(Zone, WrongRulesAreRefused) {
  for (const char* wrong :
       {"", "CE", "CET", "CET-1CEST", "CET-25", "CET-1CEST,M3.5.0", "CET-1CEST,M13.1.0,M1.1.0",
        "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,M3.5.0,M10.5.0x", "<+01-1",
        "CET-1CEST,M3.5.0/168,M10.5.0"})
    EXPECT_NE(fault_of_rule(wrong), "") << wrong;
}

TEST(Zone, FileHoldsUntilItsLastChangeAndTheRuleAfterIt) {
  const Zone zone = Zone::parse(file_of(at(2000, 3, 26, 1), kParis));
  EXPECT_EQ(zone.period_at(at(1990, 7, 1)).offset, 1h);
  EXPECT_EQ(zone.period_at(at(1990, 7, 1)).begin, std::nullopt);
  EXPECT_EQ(zone.period_at(at(1990, 7, 1)).end, at(2000, 3, 26, 1));
  EXPECT_EQ(zone.period_at(at(2000, 7, 1)).offset, 2h);
  EXPECT_EQ(zone.period_at(at(2000, 7, 1)).begin, at(2000, 3, 26, 1));
  EXPECT_EQ(zone.period_at(at(2000, 7, 1)).end, at(2000, 10, 29, 1));
  EXPECT_EQ(zone.period_at(at(2100, 12, 1)).offset, 1h);
}

TEST(Zone, FileWithoutARuleGoesOnAsItEnds) {
  const auto period = Zone::parse(file_of(at(2000, 3, 26, 1), "")).period_at(at(2050, 12, 1));
  EXPECT_EQ(period.offset, 2h);
  EXPECT_EQ(period.end, std::nullopt);
}

TEST(Zone, DamagedFilesAreRefusedWhereverTheyEnd) {
  const std::string whole = file_of(at(2000, 3, 26, 1), kParis);
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_THROW(Zone::parse(whole.substr(0, size)), ZoneError) << size;
  std::string wrong_type = whole;
  wrong_type[whole.find('\1')] = '\2';
  EXPECT_THROW(Zone::parse(wrong_type), ZoneError);
}

TEST(Zone, NamesAreNoPaths) {
  for (const char* name : {"UTC", "Europe/Paris", "Etc/GMT+5", "America/Port-au-Prince"})
    EXPECT_TRUE(Zone::is_name(name)) << name;
  for (const char* name :
       {"", "/etc/localtime", "localtime", "../passwd", "Europe/Par is", "CET-1CEST,M3.5.0"})
    EXPECT_FALSE(Zone::is_name(name)) << name;
  EXPECT_EQ(fault_of_load("../passwd"),
            "\"../passwd\" cannot be a time zone; write one such as \"Europe/Paris\"");
}

// The zones of the host, where it has any.
class HostZones : public testing::Test {
 protected:
  void SetUp() override {
    if (!fault_of_load("Europe/Paris").empty()) GTEST_SKIP() << fault_of_load("Europe/Paris");
  }
};

TEST_F(HostZones, UnknownOneIsNamedWithItsDirectory) {
  EXPECT_EQ(fault_of_load("Europe/Pariss"), "there is no time zone \"Europe/Pariss\" in /usr/share/zoneinfo");
  EXPECT_EQ(fault_of_load("Europe"), "there is no time zone \"Europe\" in /usr/share/zoneinfo")
      << "a directory";
}

// From 1975 to 2075, each seventh hour: in the file, and after its end.
TEST_F(HostZones, HaveTheOffsetsOfTheCLibrary) {
  const char* const former = std::getenv("TZ");
  const std::string kept = former != nullptr ? former : "";
  for (const char* name :
       {"Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Asia/Kathmandu",
        "America/St_Johns", "Africa/Casablanca", "America/Sao_Paulo", "Pacific/Apia", "Europe/Dublin",
        "Antarctica/Troll", "America/Nuuk", "Etc/GMT+5"}) {
    if (!fault_of_load(name).empty()) continue;  // an older zoneinfo, which calls it otherwise
    ::setenv("TZ", name, 1);
    ::tzset();
    const Zone zone = Zone::load(name);
    int wrong = 0;
    for (Zone::Time time = at(1975, 1, 1); time < at(2075, 1, 1); time += 7h) {
      const std::time_t count = time.time_since_epoch().count();
      std::tm local{};
      ::localtime_r(&count, &local);
      if (zone.period_at(time).offset != seconds(local.tm_gmtoff)) ++wrong;
    }
    EXPECT_EQ(wrong, 0) << name;
  }
  former != nullptr ? ::setenv("TZ", kept.c_str(), 1) : ::unsetenv("TZ");
  ::tzset();
}

}  // namespace
}  // namespace libtask::wire
