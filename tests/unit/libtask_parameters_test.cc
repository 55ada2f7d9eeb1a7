// What becomes of a job's arguments in a handler with typed parameters.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>

#include "libtask_fixture.h"

namespace libtask::detail {

struct Plate {
  int inches = 0;
};
void from_json(const nlohmann::json& value, Plate& plate) {
  value.at("inches").get_to(plate.inches);
}

namespace {

using ::testing::ElementsAre;
using ::testing::StartsWith;

// What the one argument "value" is for a handler that takes T; or the error.
template <class T>
struct Taken {
  explicit Taken(const std::string& value) {
    OneTask task([this](const T& taken) { this->value = taken; }, {"value"});
    const wire::Result result = task.run("{\"value\": " + value + "}");
    if (result.status == wire::ResultStatus::bad_arguments) error = result.message;
  }
  std::optional<T> value;
  std::string error;
};

TEST(Parameters, AreTakenByNameNotByPlace) {
  std::string taken;
  OneTask task([&](const std::string& dish, int times) { taken = dish + " " + std::to_string(times); },
               {"dish", "times"});
  EXPECT_EQ(task.run(R"({"times": 2, "dish": "plate"})").status, wire::ResultStatus::succeeded);
  EXPECT_EQ(taken, "plate 2");
}

TEST(Parameters, MayFollowTheContext) {
  std::int64_t id = 0;
  OneTask task([&](Context& job, std::string&& dish) { id = job.id() + static_cast<int>(dish.size()); },
               {"dish"});
  task.run(R"({"dish": "cup"})");
  EXPECT_EQ(id, 20);
}

TEST(Parameters, MissingOneIsNamedWithItsType) {
  OneTask task([](const std::string&, int) {}, {"dish", "times"});
  const wire::Result result = task.run(R"({"dish": "plate"})");
  EXPECT_EQ(result.status, wire::ResultStatus::bad_arguments);
  EXPECT_EQ(result.message, "argument \"times\" of dishes.wash is missing: expected integer");
}

TEST(Parameters, WrongOneIsNamedWithWhatWasFound) {
  EXPECT_EQ(Taken<int>("\"x\"").error,
            "argument \"value\" of dishes.wash: expected integer, got string \"x\"");
  EXPECT_EQ(Taken<int>("2.5").error, "argument \"value\" of dishes.wash: expected integer, got number 2.5");
  EXPECT_EQ(Taken<int>("true").error,
            "argument \"value\" of dishes.wash: expected integer, got boolean true");
  EXPECT_EQ(Taken<int>("null").error, "argument \"value\" of dishes.wash: expected integer, got null");
  EXPECT_EQ(Taken<bool>("1").error, "argument \"value\" of dishes.wash: expected boolean, got integer 1");
  EXPECT_EQ(Taken<double>("[]").error, "argument \"value\" of dishes.wash: expected number, got array []");
  EXPECT_EQ(Taken<std::string>("{}").error,
            "argument \"value\" of dishes.wash: expected string, got object {}");
}

TEST(Parameters, LongValueIsNotShownWhole) {
  const std::string error = Taken<int>("\"" + std::string(1000, 'x') + "\"").error;
  EXPECT_THAT(error, StartsWith("argument \"value\" of dishes.wash: expected integer, got string \"xxx"));
  EXPECT_LT(error.size(), 150U);
}

TEST(Parameters, IntegersKeepTheirRange) {
  EXPECT_EQ(Taken<std::int64_t>("-9223372036854775808").value, std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(Taken<std::uint64_t>("18446744073709551615").value, std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(Taken<std::uint8_t>("255").value, 255);
  EXPECT_EQ(Taken<std::uint8_t>("256").error,
            "argument \"value\" of dishes.wash: expected integer from 0 to 255, got integer 256");
  EXPECT_EQ(Taken<unsigned>("-1").error,
            "argument \"value\" of dishes.wash: expected integer from 0 to 4294967295, got integer -1");
  EXPECT_EQ(Taken<int>("2147483648").error,
            "argument \"value\" of dishes.wash: expected integer from -2147483648 to 2147483647, got integer "
            "2147483648");
}

TEST(Parameters, OptionalOnesMayBeMissingOrNull) {
  EXPECT_EQ(*Taken<std::optional<int>>("3").value, 3);
  EXPECT_EQ(*Taken<std::optional<int>>("null").value, std::nullopt);
  EXPECT_EQ(Taken<std::optional<int>>("\"3\"").error,
            "argument \"value\" of dishes.wash: expected integer, got string \"3\"");
  std::optional<int> taken = 1;
  OneTask task([&](std::optional<int> value) { taken = value; }, {"value"});
  EXPECT_EQ(task.run("{}").status, wire::ResultStatus::succeeded);
  EXPECT_EQ(taken, std::nullopt);
}

TEST(Parameters, ListsAndMapsAreReadStrictlyToo) {
  EXPECT_THAT(*Taken<std::vector<int>>("[1, 2]").value, ElementsAre(1, 2));
  EXPECT_EQ(Taken<std::vector<int>>("[1, 2.5]").error,
            "element 1 of argument \"value\" of dishes.wash: expected integer, got number 2.5");
  EXPECT_EQ(Taken<std::vector<int>>("3").error,
            "argument \"value\" of dishes.wash: expected array, got integer 3");
  EXPECT_EQ((*Taken<std::map<std::string, bool>>(R"({"a": true})").value),
            (std::map<std::string, bool>{{"a", true}}));
  EXPECT_EQ((Taken<std::map<std::string, bool>>(R"({"a": 1})").error),
            "\"a\" of argument \"value\" of dishes.wash: expected boolean, got integer 1");
}

TEST(Parameters, TypesOfTheAuthorAreReadByTheirFromJson) {
  EXPECT_EQ(Taken<Plate>(R"({"inches": 9})").value->inches, 9);
  EXPECT_THAT(
      Taken<Plate>(R"({"cm": 23})").error,
      StartsWith(
          "argument \"value\" of dishes.wash: expected libtask::detail::Plate, got object {\"cm\":23} ("));
  EXPECT_EQ(*Taken<nlohmann::json>("[1, null]").value, nlohmann::json::parse("[1, null]"));
}

TEST(Parameters, UnexpectedOneIsNamedWithThoseThatAreKnown) {
  OneTask task([](const std::string&, std::optional<int>) {}, {"dish", "times"});
  const wire::Result result = task.run(R"({"dish": "plate", "colour": "blue"})");
  EXPECT_EQ(result.status, wire::ResultStatus::bad_arguments);
  EXPECT_EQ(result.message, "unexpected argument \"colour\" of dishes.wash: it takes \"dish\", \"times\"");
}

TEST(Parameters, TimestampOfPeriodicJobsMayBeIgnoredOrTaken) {
  OneTask ignores([](const std::string&) {}, {"dish"});
  EXPECT_EQ(ignores.run(R"({"dish": "plate", "timestamp": 1700000000})").status,
            wire::ResultStatus::succeeded);
  std::int64_t tick = 0;
  OneTask takes([&](std::int64_t timestamp) { tick = timestamp; }, {"timestamp"});
  takes.run(R"({"timestamp": 1700000000})");
  EXPECT_EQ(tick, 1700000000);
}

TEST(Parameters, ArgumentsThatAreNoObjectAreRefused) {
  OneTask task([](std::optional<int>) {}, {"value"});
  EXPECT_EQ(task.run("[1]").message, "the arguments of dishes.wash are no JSON object, but array [1]");
  EXPECT_EQ(task.run("{").message, "the arguments of dishes.wash cannot be read: not JSON at byte 1");
}

TEST(Parameters, HandlerWithNoneRefusesArguments) {
  int runs = 0;
  OneTask task([&] { ++runs; });
  EXPECT_EQ(task.run("{}").status, wire::ResultStatus::succeeded);
  EXPECT_EQ(task.run(R"({"timestamp": 1})").status, wire::ResultStatus::succeeded);
  EXPECT_EQ(task.run(R"({"dish": 1})").message, "unexpected argument \"dish\" of dishes.wash: it takes none");
  EXPECT_EQ(runs, 2);
}

TEST(Parameters, NumberBeyondADoubleIsToldWithItsPlace) {
  OneTask task([](double) {}, {"x"});
  const wire::Result result = task.run(R"({"x": 1e400})");
  EXPECT_EQ(result.status, wire::ResultStatus::bad_arguments);
  EXPECT_EQ(result.message,
            "the arguments of dishes.wash cannot be read: the number 1e400 at byte 6 is beyond what a double "
            "holds");
}

TEST(Parameters, WhatIsNoObjectIsShown) {
  OneTask task([](double) {}, {"x"});
  EXPECT_EQ(task.run("[1]").message, "the arguments of dishes.wash are no JSON object, but array [1]");
  EXPECT_THAT(task.run(R"({"x": )").message, testing::HasSubstr("not JSON at byte"));
}

std::string nested(int depth) {
  return R"({"x": )" + std::string(static_cast<std::size_t>(depth), '[') +
         std::string(static_cast<std::size_t>(depth), ']') + "}";
}

// Depth and size of what a handler does not take are no reason of their own.
TEST(Parameters, HandlerThatTakesNothingSaysSoHoweverTheArgumentsLook) {
  OneTask task([] {});
  const std::string message = "unexpected argument \"x\" of dishes.wash: it takes none";
  EXPECT_EQ(task.run(nested(100'000)).message, message);
  EXPECT_EQ(task.run(R"({"x": 1e400})").message, message);
  EXPECT_EQ(task.run("{}").status, wire::ResultStatus::succeeded);
  EXPECT_EQ(task.run(R"( {"timestamp" : [ {"a":[ ]} , { } , "]" ] } )").status,
            wire::ResultStatus::succeeded);
}

}  // namespace
}  // namespace libtask::detail
