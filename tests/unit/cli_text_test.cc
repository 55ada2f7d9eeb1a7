#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <limits>

#include "cli/defer/arguments.h"
#include "cli/screen/frame.h"
#include "cli/text/colour.h"
#include "cli/text/table.h"
#include "cli/text/text.h"
#include "cli/text/timestamp.h"

namespace postpone::cli {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class InTimeZone : public testing::Test {
 protected:
  static void use(const char* zone) {
    setenv("TZ", zone, 1);
    tzset();
  }
  void TearDown() override {
    unsetenv("TZ");
    tzset();
  }
};

// A zone that needs no zoneinfo: one hour east, daylight saving from the last Sunday of March to that of
// October.
constexpr const char* kCentralEurope = "CET-1CEST,M3.5.0,M10.5.0/3";

std::string utc(std::string_view text) {
  const std::optional<Timestamp> time = parse_timestamp(text);
  return time ? to_iso(*time) : "none";
}

using Timestamps = InTimeZone;

TEST_F(Timestamps, WithAZoneMeanTheSameEverywhere) {
  use(kCentralEurope);
  EXPECT_EQ(utc("2025-03-30T14:05:09Z"), "2025-03-30T14:05:09.000000Z");
  EXPECT_EQ(utc("2025-03-30 14:05:09.25+02:00"), "2025-03-30T12:05:09.250000Z");
  EXPECT_EQ(utc("2025-03-30T14:05-0330"), "2025-03-30T17:35:00.000000Z");
  EXPECT_EQ(utc("2025-03-30T00:00+02"), "2025-03-29T22:00:00.000000Z");
}

TEST_F(Timestamps, WithoutAZoneAreLocal) {
  use(kCentralEurope);
  EXPECT_EQ(utc("2025-01-15T12:00"), "2025-01-15T11:00:00.000000Z");
  EXPECT_EQ(utc("2025-07-15 12:00:30.000001"), "2025-07-15T10:00:30.000001Z");
  EXPECT_EQ(utc("2025-07-15"), "2025-07-14T22:00:00.000000Z");
}

TEST_F(Timestamps, OnTheDayTheClocksChangeCountFromTheClock) {
  use(kCentralEurope);
  EXPECT_EQ(utc("2025-03-30T12:00"), "2025-03-30T10:00:00.000000Z");
  EXPECT_EQ(utc("2025-10-26T12:00"), "2025-10-26T11:00:00.000000Z");
}

TEST_F(Timestamps, BeforeTheEpochKeepTheirFraction) {
  EXPECT_EQ(utc("1969-12-31T23:59:59.25Z"), "1969-12-31T23:59:59.250000Z");
}

TEST_F(Timestamps, ThatNameNoMomentAreRefused) {
  for (const char* text : {"",
                           "tomorrow",
                           "2025-02-30",
                           "2025-13-01",
                           "2025-1-01",
                           "2025-01-01T",
                           "2025-01-01T24:00",
                           "2025-01-01T12:60",
                           "2025-01-01T12:00:60",
                           "2025-01-01T12:00:00.",
                           "2025-01-01T12:00:00.1234567890",
                           "2025-01-01T12",
                           "2025-01-01T12:00+",
                           "2025-01-01T12:00+2",
                           "2025-01-01T12:00+02:60",
                           "9999-12-31",
                           "2262-01-01T00:00Z",
                           "1677-12-31",
                           "2025-01-01T12:00Z ",
                           "2025-01-01T12:00ZZ",
                           "-025-01-01",
                           "2025-01-01T-1:00"}) {
    EXPECT_EQ(parse_timestamp(text), std::nullopt) << text;
  }
}

TEST_F(Timestamps, MayHaveNanosecondsOfWhichTheDatabaseHoldsTheMicroseconds) {
  EXPECT_EQ(utc("2025-07-15T10:00:30.123456789Z"), "2025-07-15T10:00:30.123456Z");
  EXPECT_EQ(utc("2025-07-15T10:00:30.999999999+02:00"), "2025-07-15T08:00:30.999999Z")
      << "dropped, not rounded up";
  EXPECT_EQ(utc("2025-07-15T10:00:30.1234567Z"), "2025-07-15T10:00:30.123456Z");
}

// Microseconds since 2000, as the server has them.
sql::DatabaseTime moment(std::int64_t seconds_since_1970, int microseconds = 0) {
  return sql::DatabaseTime::from_count((seconds_since_1970 - sql::DatabaseTime::kEpoch) * 1'000'000 +
                                       microseconds);
}

TEST_F(Timestamps, AreShownAsFarAsTheDatabaseReaches) {
  use("UTC");
  EXPECT_EQ(to_local(moment(32'503'680'000)), "3000-01-01 00:00:00.000");
  EXPECT_EQ(to_iso(moment(32'503'680'000, 5)), "3000-01-01T00:00:00.000005Z");
  EXPECT_EQ(to_iso(moment(9'224'318'015'999, 999'999)), "294276-12-31T23:59:59.999999Z");
  EXPECT_EQ(to_local(moment(-9'223'372'037)), "1677-09-21 00:12:43.000");
  EXPECT_EQ(to_iso(moment(-62'167'219'201)), "0002-12-31T23:59:59.000000Z BC");
  EXPECT_EQ(to_local(moment(-210'866'803'200)), "4714-11-24 00:00:00.000 BC");
  EXPECT_EQ(to_iso(sql::DatabaseTime()), "1970-01-01T00:00:00.000000Z");
}

TEST_F(Timestamps, AtTheEndsOfTimeAreInfinite) {
  EXPECT_EQ(to_local(sql::DatabaseTime::infinity()), "infinity");
  EXPECT_EQ(to_iso(sql::DatabaseTime::minus_infinity()), "-infinity");
  EXPECT_EQ(to_iso(Timestamp::max()), "infinity");
  EXPECT_EQ(to_iso(Timestamp::min()), "-infinity");
}

TEST_F(Timestamps, ForPeopleAreLocalToTheMillisecond) {
  use(kCentralEurope);
  EXPECT_EQ(to_local(*parse_timestamp("2025-07-15T10:00:30.0456Z")), "2025-07-15 12:00:30.045");
}

TEST(Printable, LeavesNothingThatATerminalObeys) {
  EXPECT_EQ(printable("a\x1b[2Jb\n\tc\x7f"), "a\\x1B[2Jb\\n\\tc\\x7F");
  EXPECT_EQ(printable("Gr\xC3\xBC\xC3\x9F \u2027 \u00A0 \u202F"), "Gr\xC3\xBC\xC3\x9F \u2027 \u00A0 \u202F");
  EXPECT_EQ(printable("\xC2\x9B"
                      "2J"),
            "\\u009B2J");
}

TEST(Printable, LeavesNothingThatTurnsOrBreaksALine) {
  EXPECT_EQ(printable("\u061C\u200E\u200F \u2028\u2029 \u202A\u202E \u2066\u2069"),
            "\\u061C\\u200E\\u200F \\u2028\\u2029 \\u202A\\u202E \\u2066\\u2069");
  for (char32_t c :
       {0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2066, 0x2067, 0x2068, 0x2069, 0x200E, 0x200F}) {
    const std::string text = {static_cast<char>(0xE0U | (c >> 12U)),
                              static_cast<char>(0x80U | ((c >> 6U) & 0x3FU)),
                              static_cast<char>(0x80U | (c & 0x3FU))};
    EXPECT_EQ(printable(text).substr(0, 3), "\\u2") << std::hex << static_cast<unsigned>(c);
  }
  EXPECT_EQ(printable("\u061B\u200D\u2065"), "\u061B\u200D\u2065") << "their neighbours do not";
}

// A database in SQL_ASCII takes any byte, and an 8-bit terminal takes 0x9B for the beginning of a command.
TEST(Printable, LeavesNoByteThatIsNotUtf8) {
  EXPECT_EQ(printable("\x9B"
                      "2J \x80 \xFF"),
            "\\x9B2J \\x80 \\xFF");
  EXPECT_EQ(printable("\xC0\x9B \xE2\x80 \xED\xA0\x80"), "\\xC0\\x9B \\xE2\\x80 \\xED\\xA0\\x80");
}

Table dishes() {
  return {{{"ID", Table::Align::right}, {"TASK"}, {"ARGUMENTS"}},
          {{"7", "dishes.wash", R"({"dish": "plate"})"}, {"1234", "dry", "{}"}}};
}

TEST(Tables, KnowHowWideCharactersAre) {
  EXPECT_EQ(display_width("\u6D17\u3046"), 4U) << "two columns each";
  EXPECT_EQ(display_width("e\u0301"), 1U) << "an accent of its own";
  EXPECT_EQ(cut("\u6D17\u3046\u6D17\u3046", 6), "\u6D17...");
  EXPECT_EQ(cut("plate", 5), "plate");
}

TEST(Tables, AreAlignedWithoutTrailingBlanks) {
  EXPECT_EQ(render(dishes(), 0),
            "  ID  TASK         ARGUMENTS\n"
            "   7  dishes.wash  {\"dish\": \"plate\"}\n"
            "1234  dry          {}\n");
}

TEST(Tables, CutTheWidestColumnFirst) {
  EXPECT_EQ(render(dishes(), 30),
            "  ID  TASK         ARGUMENTS\n"
            "   7  dishes.wash  {\"dish\":...\n"
            "1234  dry          {}\n");
}

TEST(Tables, KeepTitlesAndNumbersWholeHoweverNarrowTheTerminal) {
  EXPECT_EQ(render(dishes(), 1),
            "  ID  TASK  ARGUMENTS\n"
            "   7  d...  {\"dish...\n"
            "1234  dry   {}\n");
}

TEST(Tables, LeaveOutColumnsWithoutContent) {
  EXPECT_EQ(render({{{"A"}, {"LOCK"}, {"B"}}, {{"1", "", "2"}, {"3", "", ""}}}, 0), "A  B\n1  2\n3\n");
}

TEST(Widths, AreThoseOfATerminal) {
  EXPECT_EQ(display_width("plate"), 5U);
  EXPECT_EQ(display_width("\u00FC\u2026"), 2U);
  EXPECT_EQ(display_width("\u76BF\uFF21"), 4U) << "East Asian ones take two columns";
  EXPECT_EQ(display_width("\U0001F37D"), 1U) << "in the text form that it has by itself";
  EXPECT_EQ(display_width("\U0001F600"), 2U);
  EXPECT_EQ(display_width("u\u0308"), 1U) << "what combines with the one before takes none";
  EXPECT_EQ(display_width("\x9B\xFF"), 2U) << "bytes that are no character";
  EXPECT_EQ(display_width(styled("plate", Style::bad)), 5U);
}

TEST(Widths, AreKeptByWhatIsCut) {
  EXPECT_EQ(cut("dishes", 6), "dishes");
  EXPECT_EQ(cut("dishes", 5), "di...");
  EXPECT_EQ(cut("\u76BF\u76BF\u76BF", 6), "\u76BF\u76BF\u76BF");
  EXPECT_EQ(cut("\u76BF\u76BF\u76BF", 5), "\u76BF...");
  EXPECT_EQ(cut("\u76BF\u76BF\u76BF", 4), "...") << "half of one cannot be shown";
  EXPECT_EQ(cut("dishes", 2), "..");
}

TEST(Widths, AreCutWithTheirStyleEnded) {
  EXPECT_EQ(cut("is " + styled("degraded", Style::bad), 9), "is \x1b[31mdeg...\x1b[0m");
  EXPECT_EQ(cut(styled("up", Style::good) + ", for a day", 8), "\x1b[32mup\x1b[0m, f...");
}

TEST(Tables, AreAlignedAroundWideCharacters) {
  EXPECT_EQ(render({{{"A"}, {"B"}}, {{"\u76BF", "1"}, {"xyz", "2"}}}, 0), "A    B\n\u76BF   1\nxyz  2\n");
  EXPECT_EQ(render({{{"A"}, {"B"}}, {{"\u76BF\u76BF\u76BF", "1"}}}, 7), "A     B\n...   1\n");
}

TEST(Tables, CountCodePointsNotBytes) {
  EXPECT_EQ(render({{{"A"}, {"B"}}, {{"\xC3\xBC", "1"}, {"xy", "2"}}}, 0), "A   B\n\xC3\xBC   1\nxy  2\n");
  EXPECT_EQ(render({{{"A"}}, {{"\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC"}}}, 4), "A\n\xC3\xBC...\n");
}

TEST(Sizes, AreShownInTheUnitThatFits) {
  EXPECT_EQ(human_size(0), "0 B");
  EXPECT_EQ(human_size(1023), "1023 B");
  EXPECT_EQ(human_size(1536), "1.5 KiB");
  EXPECT_EQ(human_size(1024 * 1024 - 1), "1.0 MiB");
  EXPECT_EQ(human_size(std::int64_t{5} << 40), "5.0 TiB");
}

TEST(Durations, AreShownInTheUnitThatFits) {
  EXPECT_EQ(human_duration(0.4ms), "0.4 ms");
  EXPECT_EQ(human_duration(850ms), "850 ms");
  EXPECT_EQ(human_duration(999.9ms), "1.0 s");
  EXPECT_EQ(human_duration(59.99s), "1 min 00 s");
  EXPECT_EQ(human_duration(125min), "2 h 05 min");
  EXPECT_EQ(human_duration(47h + 59min), "47 h 59 min");
  EXPECT_EQ(human_duration(79h), "3 d 07 h");
  EXPECT_EQ(human_duration(-125min), "-2 h 05 min");
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(human_duration(std::chrono::duration<double>(1e308)), "?");
  EXPECT_EQ(human_duration(std::chrono::duration<double>(-1e16)), "?");
  EXPECT_EQ(human_duration(std::chrono::hours(24 * 365 * 300'000LL)), "109500000 d 00 h");
  EXPECT_EQ(human_duration(std::chrono::duration<double>(kInfinity)), "infinity");
  EXPECT_EQ(human_duration(std::chrono::duration<double>(-kInfinity)), "-infinity");
}

TEST(Tables, GiveUpWhatMattersLeastAndNeverCutAStatusOrATime) {
  using Align = Table::Align;
  using Fit = Table::Fit;
  const Table table{
      {{"ID", Align::right},
       {"STATUS", Align::left, nullptr, Fit::whole},
       {"TASK"},
       {"TRIES", Align::right, nullptr, Fit::spare},
       {"LOCK", Align::left, nullptr, Fit::first},
       {"AT", Align::left, nullptr, Fit::whole},
       {"ARGUMENTS", Align::left, nullptr, Fit::first}},
      {{"1234567", "succeeded", "dishes.wash", "3", "kitchen-sink", "2025-12-24 18:00", "{\"dish\": 1}"}}};
  EXPECT_EQ(render(table, 86),
            "     ID  STATUS     TASK         TRIES  LOCK          AT                ARGUMENTS\n"
            "1234567  succeeded  dishes.wash      3  kitchen-sink  2025-12-24 18:00  {\"dish\": 1}\n");
  EXPECT_EQ(render(table, 60),
            "     ID  STATUS     TASK         TRIES  AT\n"
            "1234567  succeeded  dishes.wash      3  2025-12-24 18:00\n");
  EXPECT_EQ(render(table, 44),
            "     ID  STATUS     TASK  AT\n"
            "1234567  succeeded  d...  2025-12-24 18:00\n");
}

TEST(Tables, ColourTheirCellsAndNothingElse) {
  const Table table{
      {{"STATUS", Table::Align::left, style_of_status}, {"FAILED", Table::Align::right, bad_unless_zero}},
      {{"doing (abort)", "0"}, {"done", "12"}}};
  EXPECT_EQ(render(table, 0),
            "STATUS         FAILED\n"
            "doing (abort)       0\n"
            "done               12\n");
  EXPECT_EQ(render(table, 0, true),
            "STATUS         FAILED\n"
            "\x1b[36mdoing (abort)\x1b[0m       0\n"
            "done               \x1b[31m12\x1b[0m\n");
}

TEST(Tables, AreColouredByWhatACellSaysHoweverMuchOfItIsSeen) {
  const Table table{{{"S", Table::Align::left, style_of_status}}, {{"succeeded"}}};
  EXPECT_EQ(render(table, 4, true), "S\n\x1b[32ms...\x1b[0m\n");
}

constexpr ScreenSize kUsual{80, 24};

TEST(Frames, GoOverTheOneBeforeAndWipeWhatItLeaves) {
  EXPECT_EQ(frame_over(0, "a\nb\n", kUsual).text, "\x1b[Ka\n\x1b[Kb\n\x1b[J");
  EXPECT_EQ(frame_over(0, "a\nb\n", kUsual).lines, 2U);
  EXPECT_EQ(frame_over(2, "c\n", kUsual).text, "\x1b[2A\r\x1b[Kc\n\x1b[J");
}

// A line that wraps takes two rows, and the next page would begin one row too low.
TEST(Frames, LetNoLineWrap) {
  EXPECT_EQ(frame_over(0, "connection refused\n", {12, 24}).text, "\x1b[Kconnectio...\n\x1b[J");
  EXPECT_EQ(frame_over(0, styled("connection", Style::bad) + "\n", {10, 24}).text,
            "\x1b[K\x1b[31mconnection\x1b[0m\n\x1b[J")
      << "colour takes no room";
}

TEST(Frames, NeverScrollTheirFirstLineAway) {
  const Frame frame = frame_over(0, "a\nb\nc\nd\n", {80, 4});
  EXPECT_EQ(frame.text, "\x1b[Ka\n\x1b[Kb\n\x1b[K(2 more lines; the terminal is too low)\n\x1b[J");
  EXPECT_EQ(frame.lines, 3U);
  EXPECT_EQ(frame_over(0, "a\nb\nc\n", {80, 4}).lines, 3U);
  EXPECT_EQ(frame_over(0, "a\nb\nc\n", {}).lines, 3U) << "the size is not known";
}

TEST(Arguments, MayBeAnyObject) {
  EXPECT_EQ(problem_with_arguments("{}"), "");
  EXPECT_EQ(problem_with_arguments(R"( {"dish": "plate", "times": [1, {"a": null}]} )"), "");
}

TEST(Arguments, ThatAreNoObjectAreRefusedByTheirType) {
  EXPECT_THAT(problem_with_arguments("[1]"), HasSubstr("this is an array"));
  EXPECT_THAT(problem_with_arguments("\"plate\""), HasSubstr("this is a string"));
  EXPECT_THAT(problem_with_arguments("null"), HasSubstr("this is null"));
}

TEST(Arguments, ThatAreNoJsonAreRefusedWithThePlace) {
  EXPECT_THAT(problem_with_arguments("{\"dish\": plate}"), HasSubstr("line 1, column 10"));
  EXPECT_THAT(problem_with_arguments("{\n  \"dish\": 1,\n  }"), HasSubstr("line 3, column 3"));
  EXPECT_THAT(problem_with_arguments(""), HasSubstr("line 1, column 1"));
}

}  // namespace
}  // namespace postpone::cli
