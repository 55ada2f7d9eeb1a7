#include "config/config.h"

#include <gmock/gmock.h>

#include <limits>

#include "config/nearest.h"
#include "config_fixture.h"

namespace postpone::config {
namespace {

using namespace std::chrono_literals;

// ---- Durations and sizes -------------------------------------------------------------------------

TEST(Numbers, AreReadInDecimalDigitsAsAPersonWouldRead) {
  const auto read = [](std::string_view text) { return parse_whole_number(text, -100, 1000); };
  EXPECT_EQ(read("42"), 42);
  EXPECT_EQ(read("-5"), -5);
  EXPECT_EQ(read("0123"), 123) << "not octal";
  EXPECT_EQ(read("010"), 10);
  for (const char* text : {"", "0x6f", "0b1", "1e2", "1.0", "+5", " 5", "5 ", "5s", "--5", "1'000", "nan",
                           "1001", "-101", "9223372036854775808", "99999999999999999999999"}) {
    EXPECT_EQ(read(text), std::nullopt) << text;
  }
}

TEST(Numbers, MayHaveADecimalPoint) {
  const auto read = [](std::string_view text) { return parse_decimal(text, 0.1, 100); };
  EXPECT_EQ(read("2"), 2.0);
  EXPECT_EQ(read("0.25"), 0.25);
  EXPECT_EQ(read("010"), 10.0);
  for (const char* text :
       {"", ".", ".5", "5.", "1.2.3", "0x10", "1e1", "inf", "nan", "-1", "+1", "0.05", "100.5", "1e400"})
    EXPECT_EQ(read(text), std::nullopt) << text;
}

TEST(Durations, AreANumberAndAUnit) {
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("30s"), 30s);
  EXPECT_EQ(parse_duration("5m"), 5min);
  EXPECT_EQ(parse_duration("2h"), 2h);
  EXPECT_EQ(parse_duration("1d"), 24h);
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("0.25h"), 15min);
  EXPECT_EQ(parse_duration("0s"), 0ms);
}

TEST(Durations, AreNothingElse) {
  for (const char* text : {"", "30", "s", "-5s", "+5s", "5 s", " 5s", "5s ", "5S", "5sec", "1m30s", ".5s",
                           "5.s", "1.5.5s", "1e3s", "0x10s", "٣s", "1.0000001s"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(Durations, AreNeverRounded) {
  EXPECT_EQ(parse_duration("0.4ms"), std::nullopt);
  EXPECT_EQ(parse_duration("1.0005s"), std::nullopt);
  EXPECT_EQ(parse_duration("1.0ms"), 1ms);
}

TEST(Durations, ThatDoNotFitAreRefused) {
  EXPECT_EQ(parse_duration("9223372036854775807ms"), Milliseconds::max());
  EXPECT_EQ(parse_duration("9223372036854775808ms"), std::nullopt);
  EXPECT_EQ(parse_duration("9223372036854775807s"), std::nullopt);
  EXPECT_EQ(parse_duration("106751991167d"), Milliseconds(106751991167LL * 86'400'000));
  EXPECT_EQ(parse_duration("106751991168d"), std::nullopt);
  EXPECT_EQ(parse_duration("106751991167.999999d"), std::nullopt);
}

TEST(Durations, AreFormattedAsShortAsTheyCanBeRead) {
  EXPECT_EQ(format_duration(0ms), "0ms");
  EXPECT_EQ(format_duration(1500ms), "1500ms");
  EXPECT_EQ(format_duration(90s), "90s");
  EXPECT_EQ(format_duration(2h), "2h");
  for (const Milliseconds duration : {1ms, 999ms, 1000ms, 60'000ms, 61'000ms, 86'400'000ms}) {
    EXPECT_EQ(parse_duration(format_duration(duration)), duration);
  }
}

TEST(Sizes, AreANumberAndAUnitOrBytes) {
  EXPECT_EQ(parse_size("0"), 0);
  EXPECT_EQ(parse_size("1024"), 1024);
  EXPECT_EQ(parse_size("7B"), 7);
  EXPECT_EQ(parse_size("64KiB"), 65536);
  EXPECT_EQ(parse_size("512MiB"), 512LL * 1024 * 1024);
  EXPECT_EQ(parse_size("2GiB"), 2LL * 1024 * 1024 * 1024);
  EXPECT_EQ(parse_size("1.5GiB"), 1536LL * 1024 * 1024);
  EXPECT_EQ(parse_size("1TiB"), 1LL << 40);
  EXPECT_EQ(parse_size("1kB"), 1000);
  EXPECT_EQ(parse_size("1KB"), 1000);
  EXPECT_EQ(parse_size("1GB"), 1'000'000'000);
}

TEST(Sizes, AreNothingElse) {
  for (const char* text :
       {"", "-1", "MiB", "1 MiB", "1mib", "1M", "0.5B", "1.5", "99999999999TiB", "9223372036854775808"}) {
    EXPECT_EQ(parse_size(text), std::nullopt) << text;
  }
  EXPECT_EQ(parse_size("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
}

// ---- Did you mean --------------------------------------------------------------------------------

TEST(Nearest, ForgivesOneSlipOfTheFinger) {
  const std::vector<std::string_view> keys{"name", "count", "queues"};
  EXPECT_EQ(nearest("coutn", keys), "count");   // swapped
  EXPECT_EQ(nearest("cont", keys), "count");    // left out
  EXPECT_EQ(nearest("countt", keys), "count");  // added
  EXPECT_EQ(nearest("naem", keys), "name");
  EXPECT_EQ(nearest("queue", keys), "queues");
  EXPECT_EQ(nearest("count", keys), "count");
}

TEST(Nearest, IsSilentWhenNothingIsNear) {
  EXPECT_EQ(nearest("frobnicate", {"name", "count"}), std::nullopt);
  EXPECT_EQ(nearest("", {"name"}), std::nullopt);
  EXPECT_EQ(nearest("name", {}), std::nullopt);
  EXPECT_EQ(nearest(std::string(1'000'000, 'x'), {"name"}), std::nullopt);
}

TEST(Nearest, PrefersTheFirstOfEquals) {
  EXPECT_EQ(nearest("bat", {"cat", "bar"}), "cat");
}

}  // namespace
}  // namespace postpone::config
