// How arguments of deferred jobs are written, and read without a JSON library.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libtask/json.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "libtask/src/json_text.h"

struct Point {
  int x = 0;
  int y = 0;
};

template <>
struct libtask::ToJson<Point> {
  static std::string text(const Point& point) { return libtask::Args{{"x", point.x}, {"y", point.y}}.text(); }
};

namespace libtask {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(Args, AreAJsonObject) {
  EXPECT_EQ(Args{}.text(), "{}");
  EXPECT_EQ((Args{{"to", "me"}}).text(), R"({"to":"me"})");
  EXPECT_EQ((Args{{"a", "b"}, {"c", "d"}}).text(), R"({"a":"b","c":"d"})");
}

TEST(Args, TakeTheTypesOfTheStandardLibrary) {
  const std::string text = "text";
  const char* pointer = "pointer";
  EXPECT_EQ((Args{{"s", text}, {"p", pointer}, {"v", std::string_view("view")}}).text(),
            R"({"s":"text","p":"pointer","v":"view"})");
  EXPECT_EQ(
      (Args{{"b", true}, {"n", nullptr}, {"i", -3}, {"u", std::numeric_limits<std::uint64_t>::max()}}).text(),
      R"({"b":true,"n":null,"i":-3,"u":18446744073709551615})");
  EXPECT_EQ((Args{{"d", 0.1}, {"e", 1e300}, {"w", 2.0}, {"f", 0.5F}}).text(),
            R"({"d":0.1,"e":1e+300,"w":2,"f":0.5})");
  EXPECT_EQ((Args{{"yes", std::optional<int>(1)}, {"no", std::optional<std::string>()}}).text(),
            R"({"yes":1,"no":null})");
  EXPECT_EQ((Args{{"list", std::vector<bool>{true, false}}, {"none", std::vector<int>{}}}).text(),
            R"({"list":[true,false],"none":[]})");
  EXPECT_EQ((Args{{"map", std::map<std::string, int>{{"a", 1}, {"b", 2}}}}).text(),
            R"({"map":{"a":1,"b":2}})");
}

TEST(Args, NestAndMix) {
  EXPECT_EQ((Args{{"from", {{"name", "Ada"}, {"born", 1815}}}}).text(),
            R"({"from":{"name":"Ada","born":1815}})");
  EXPECT_EQ((Args{{"list", std::vector<Value>{1, "x", nullptr, {{"k", 2}}}}}).text(),
            R"({"list":[1,"x",null,{"k":2}]})");
  EXPECT_EQ((Args{{"inner", Args{{"a", 1}}}}).text(), R"({"inner":{"a":1}})");
  EXPECT_EQ((Args{{"at", Point{1, 2}}, {"path", std::vector{Point{3, 4}}}}).text(),
            R"({"at":{"x":1,"y":2},"path":[{"x":3,"y":4}]})");
}

TEST(Args, TextsAreEscaped) {
  const std::string nasty = "quote \" backslash \\ newline \n tab \t bell \a Zoë 🍽";
  const std::string text = Args{{nasty, nasty}}.text();
  EXPECT_EQ(json::parse(text).at(nasty), nasty);
  EXPECT_THAT(text, HasSubstr("\\u0007"));
}

TEST(Args, WhatPostgresCannotHoldIsRefused) {
  const auto write = [](const Value& value) { return value.text(); };
  EXPECT_THAT([&] { write("caf\xe9"); },
              ThrowsMessage<std::invalid_argument>("a text for JSON is not UTF-8 at byte 3"));
  EXPECT_THAT([&] { write(std::string("a\0b", 3)); },
              ThrowsMessage<std::invalid_argument>("a text for JSON has a NUL at byte 1"));
  for (const char* broken :
       {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80", "\xf0\x80\x80\x80"}) {
    EXPECT_THROW(write(broken), std::invalid_argument);
  }
  EXPECT_THROW(write(std::nan("")), std::invalid_argument);
  EXPECT_THROW(write(std::numeric_limits<double>::infinity()), std::invalid_argument);
}

TEST(Args, ComeFromAJsonLibrary) {
  const json object = {{"a", 1}};
  EXPECT_EQ(Args(object).text(), R"({"a":1})");
  EXPECT_EQ((Args{{"inner", object}}).text(), R"({"inner":{"a":1}})");
  EXPECT_THROW(Args{json::parse("[1]")}, std::invalid_argument);
}

TEST(Args, ComeFromText) {
  EXPECT_EQ(Args::from_text(R"( {"a" : [1, 2]} )").text(), R"( {"a" : [1, 2]} )");
  EXPECT_THAT([] { Args::from_text("[1]"); },
              ThrowsMessage<std::invalid_argument>("not JSON at byte 0: expected an object ({…})"));
}

TEST(ObjectKeys, AreThoseOfTheOuterObject) {
  EXPECT_THAT(detail::object_keys(R"({"a": {"inner": 1}, "b": ["x", {"y": 2}], "c\n": -1.5e+3})"),
              ElementsAre("a", "b", "c\\n"));
  EXPECT_THAT(detail::object_keys(" { } "), ElementsAre());
}

TEST(ObjectKeys, ReadWhatTheJsonLibraryReads) {
  for (const char* text : {R"({"a":1})",
                           R"({"a":01})",
                           R"({"a":-})",
                           R"({"a":1.})",
                           R"({"a":.5})",
                           R"({"a":1e})",
                           R"({"a":tru})",
                           R"({"a":true})",
                           R"({"a":"\x"})",
                           R"({"a":"\u12g4"})",
                           R"({"a":"\u00e9"})",
                           R"({"a":1,})",
                           R"({,})",
                           R"({"a"})",
                           R"({"a":})",
                           R"({a:1})",
                           R"({"a":[1,]})",
                           R"({"a":[1 2]})",
                           R"({"a":[]})",
                           R"({"a":"b)",
                           R"({"a":1}x)",
                           "{",
                           "",
                           "null",
                           "{\"a\":\"\n\"}",
                           "{\"a\":\"\xff\"}",
                           R"({"a":0.0,"b":-0,"c":1E-7})",
                           R"({"a":+1})"}) {
    const json parsed = json::parse(text, nullptr, false);
    if (parsed.is_object()) {
      EXPECT_NO_THROW(detail::object_keys(text)) << text;
    } else {
      EXPECT_THROW(detail::object_keys(text), std::invalid_argument) << text;
    }
  }
}

TEST(ObjectKeys, TellWhereTheTextGoesWrong) {
  const auto keys = [](const std::string& text) { return [text] { detail::object_keys(text); }; };
  EXPECT_THAT(keys(R"({"a" 1})"), ThrowsMessage<std::invalid_argument>("not JSON at byte 5: expected \":\""));
  EXPECT_THAT(keys(R"({"a":1)"),
              ThrowsMessage<std::invalid_argument>("not JSON at byte 6: expected \",\" or \"}\""));
  EXPECT_THAT(keys(R"({"a":"\u0000"})"), ThrowsMessage<std::invalid_argument>(HasSubstr("NUL")));
  EXPECT_THAT(keys("{\"a\":" + std::string(100'000, '[')),
              ThrowsMessage<std::invalid_argument>("not JSON at byte 100005: expected a value"));
}

TEST(Args, TooDeepForTheDatabaseIsRefusedWhereItIsDeferred) {
  const auto nested = [](std::size_t depth) {
    return [depth] { Args::from_text("{\"a\":" + std::string(depth, '[') + std::string(depth, ']') + "}"); };
  };
  EXPECT_NO_THROW(nested(499)());
  EXPECT_THAT(nested(100'000), ThrowsMessage<std::invalid_argument>(HasSubstr("nested 100001 deep")));
}

}  // namespace
}  // namespace libtask
