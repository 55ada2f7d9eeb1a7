#include "sys/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

namespace postpone::sys {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

// What stands on stderr after one message.
std::string logged(const LogOptions& options, const std::string& message,
                   spdlog::level::level_enum level = spdlog::level::info) {
  testing::internal::CaptureStderr();
  init_log(options);
  spdlog::log(level, message);
  return testing::internal::GetCapturedStderr();
}

LogOptions text() {
  return {.level = "info", .format = "text", .role = "supervisor"};
}
LogOptions json() {
  return {.level = "info", .format = "json", .role = "sub-worker \"kitchen\"/3"};
}

TEST(TextLog, SaysTimeLevelRoleAndPid) {
  EXPECT_THAT(logged(text(), "listening"),
              MatchesRegex("[0-9-]+ [0-9:]+\\.[0-9][0-9][0-9] info  \\[supervisor " +
                           std::to_string(::getpid()) + "\\] listening\n"));
}

TEST(TextLog, AMessageCannotFakeALine) {
  EXPECT_THAT(logged(text(), "one\ntwo\x1b[2Jthree\ttab"), HasSubstr("] one\\ntwo\\x1b[2Jthree\\ttab\n"));
  EXPECT_THAT(logged(text(),
                     "umlaut \xc3\xa4 and \xc2\x9b"
                     "2J"),
              HasSubstr("umlaut \xc3\xa4 and \xc2\\x9b"
                        "2J\n"));
}

TEST(TextLog, BracesAndPercentsMeanNothing) {
  LogOptions options = text();
  options.role = "100%n {}";
  EXPECT_THAT(logged(options, "%v {} %%"), HasSubstr("[100%n {} "));
  EXPECT_THAT(logged(options, "%v {} %%"), HasSubstr("] %v {} %%\n"));
}

TEST(TextLog, LevelsBelowAreLeftOut) {
  EXPECT_EQ(logged(text(), "detail", spdlog::level::debug), "");
  LogOptions options = text();
  options.level = "warning";
  EXPECT_EQ(logged(options, "news", spdlog::level::info), "");
  EXPECT_THAT(logged(options, "trouble", spdlog::level::warn), HasSubstr(" warning [supervisor"));
}

TEST(JsonLog, OneObjectALine) {
  const std::string line = logged(json(), "listening", spdlog::level::err);
  ASSERT_EQ(line.find('\n'), line.size() - 1);
  const auto object = nlohmann::json::parse(line);
  EXPECT_EQ(object.at("level"), "error");
  EXPECT_EQ(object.at("role"), "sub-worker \"kitchen\"/3");
  EXPECT_EQ(object.at("pid"), ::getpid());
  EXPECT_EQ(object.at("message"), "listening");
  EXPECT_THAT(object.at("time").get<std::string>(), MatchesRegex("[0-9-]+T[0-9:]+\\.[0-9]+Z"));
}

TEST(JsonLog, AnyMessageStaysOneValidObject) {
  const std::string nasty =
      "quote \" backslash \\ newline \n control \x01 delete \x7f umlaut \xc3\xa4 broken \xc3";
  const std::string line = logged(json(), nasty);
  ASSERT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_EQ(nlohmann::json::parse(line).at("message"),
            "quote \" backslash \\ newline \n control \x01 delete \x7f umlaut \xc3\xa4 broken \xef\xbf\xbd");
}

TEST(Log, AnUnknownLevelIsRefused) {
  LogOptions options = text();
  options.level = "loud";
  EXPECT_THROW(init_log(options), std::invalid_argument);
}

}  // namespace
}  // namespace postpone::sys
