#include "sys/logger.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <concepts>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <system_error>

#include "sys/log_batch.h"

namespace postpone::sys {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

// What stands on stderr after whatever `speak` logs.
template <std::invocable Speak>
std::string logged(const LogIdentity& identity, const LogOptions& options, Speak speak) {
  testing::internal::CaptureStderr();
  init_log(identity, options);
  speak();
  return testing::internal::GetCapturedStderr();
}

std::string logged(const LogIdentity& identity, const LogOptions& options, const std::string& message,
                   Level level = Level::info) {
  return logged(identity, options, [&] { sys::log.log(level, message); });
}

LogIdentity supervisor() {
  return {.role = "supervisor"};
}
LogIdentity sub_worker() {
  return {.role = "sub-worker", .component = Component::subworker, .group = "\"kitchen\"", .slot = 3};
}
LogOptions text() {
  return {};
}
LogOptions json() {
  return {.json = true};
}

// What systemd would set for the standard error of this process.
class JournalStream {
 public:
  JournalStream() {
    struct stat status {};
    ::fstat(STDERR_FILENO, &status);
    const std::string stream = std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
    ::setenv("JOURNAL_STREAM", stream.c_str(), 1);
  }
  ~JournalStream() { ::unsetenv("JOURNAL_STREAM"); }
};

TEST(TextLog, SaysTimeLevelRoleSlotAndPid) {
  EXPECT_THAT(logged(supervisor(), text(), "listening"),
              MatchesRegex("[0-9-]+ [0-9:]+\\.[0-9][0-9][0-9] info  \\[supervisor " +
                           std::to_string(::getpid()) + "\\] listening\n"));
  EXPECT_THAT(logged(sub_worker(), text(), "idle"),
              HasSubstr(" info  [sub-worker \"kitchen\"/3 " + std::to_string(::getpid()) + "] idle\n"));
}

TEST(TextLog, AMessageCannotFakeALine) {
  EXPECT_THAT(logged(supervisor(), text(), "one\ntwo\x1b[2Jthree\ttab"),
              HasSubstr("] one\\ntwo\\x1b[2Jthree\\ttab\n"));
  EXPECT_THAT(logged(supervisor(), text(),
                     "umlaut \xc3\xa4 and \xc2\x9b"
                     "2J"),
              HasSubstr("umlaut \xc3\xa4 and \\xc2\\x9b"
                        "2J\n"));
}

TEST(TextLog, NothingReadsAsAnotherText) {
  EXPECT_THAT(logged(supervisor(), text(), "a\u202Etxt.exe \u2066b\u2069 \u200F \u2028 \u061C end"),
              HasSubstr("] a\\u202Etxt.exe \\u2066b\\u2069 \\u200F \\u2028 \\u061C end\n"));
}

TEST(TextLog, BytesThatAreNoTextAreShown) {
  EXPECT_THAT(logged(supervisor(), text(),
                     "a\x9b"
                     "2J \xc2\x9b b \xe2\x82\xac"),
              HasSubstr("] a\\x9b2J \\xc2\\x9b b \xe2\x82\xac\n"));
}

TEST(TextLog, BracesAndPercentsMeanNothing) {
  LogIdentity identity = supervisor();
  identity.role = "100%n {}";
  EXPECT_THAT(logged(identity, text(), "%v {} %%"), HasSubstr("[100%n {} "));
  EXPECT_THAT(logged(identity, text(), "%v {} %%"), HasSubstr("] %v {} %%\n"));
}

TEST(TextLog, LevelsBelowAreLeftOut) {
  EXPECT_EQ(logged(supervisor(), text(), "detail", Level::debug), "");
  LogOptions options = text();
  options.level = "warning";
  EXPECT_EQ(logged(supervisor(), options, "news", Level::info), "");
  EXPECT_THAT(logged(supervisor(), options, "trouble", Level::warning), HasSubstr(" warning [supervisor"));
}

TEST(TextLog, TellsOfTheJobWhileThereIsOne) {
  const std::string lines = logged(sub_worker(), text(), [] {
    {
      const LogContext context(17, "dishes.wash", 2);
      sys::log.info("half way");
      log_output("stdout", "a plate");
    }
    sys::log.info("idle");
    log_output("stderr", "a daemon");
  });
  EXPECT_THAT(lines, HasSubstr("] job 17 dishes.wash: half way\n"));
  EXPECT_THAT(lines, HasSubstr("] job 17 dishes.wash stdout: a plate\n"));
  EXPECT_THAT(lines, HasSubstr("] idle\n"));
  EXPECT_THAT(lines, HasSubstr("] task process stderr: a daemon\n"));
}

TEST(TextLog, TellsTheTraceOfTheJobThatHasOne) {
  const std::string lines = logged(sub_worker(), text(), [] {
    const LogContext context(17, "dishes.wash", 2, "00-4bf9\n-01");
    sys::log.info("half way");
    log_output("stdout", "a plate");
  });
  EXPECT_THAT(lines, HasSubstr("] job 17 dishes.wash traceparent=00-4bf9\\n-01: half way\n"));
  EXPECT_THAT(lines, HasSubstr("] job 17 dishes.wash traceparent=00-4bf9\\n-01 stdout: a plate\n"));
}

TEST(TextLog, AListIsALineForEachElement) {
  const std::string lines = logged(sub_worker(), text(), [] {
    const LogFields fields({{"elapsed_s", 3.5}, {"stack", std::vector<std::string>{"wash()", "main"}}});
    log_of(Component::job).warn("is slow");
  });
  EXPECT_THAT(lines, MatchesRegex(".*\\] is slow\n.*\\]     wash\\(\\)\n.*\\]     main\n"));
}

TEST(TextLog, JsonStandsAtTheEndOfTheMessage) {
  const std::string lines = logged(sub_worker(), text(), [] {
    const LogFields fields({{"fields", LogJson{"{\"ms\": 3,\n \"who\": \"\u202e\"}"}}});
    log_of(Component::task).warn("is slow");
  });
  EXPECT_THAT(lines, HasSubstr("] is slow {\"ms\":3,\"who\":\"\\u202E\"}\n"));
}

TEST(JournalLog, HasPrioritiesAndNoTime) {
  testing::internal::CaptureStderr();
  const JournalStream stream;
  init_log(supervisor(), text());
  sys::log.error("trouble");
  const LogFields fields({{"stack", std::vector<std::string>{"main"}}});
  log_of(Component::job).warn("is slow");
  const std::string pid = std::to_string(::getpid());
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "<3>error [supervisor " + pid + "] trouble\n" +
                                                        "<4>warning [supervisor " + pid + "] is slow\n" +
                                                        "<4>warning [supervisor " + pid + "]     main\n");
}

TEST(JournalLog, JsonKeepsItsFieldsBehindAPriority) {
  testing::internal::CaptureStderr();
  const JournalStream stream;
  init_log(supervisor(), json());
  sys::log.debug("left out");
  sys::log.info("listening");
  const std::string line = testing::internal::GetCapturedStderr();
  ASSERT_THAT(line, StartsWith("<6>{"));
  EXPECT_EQ(nlohmann::json::parse(line.substr(3)).at("message"), "listening");
}

TEST(JournalLog, AnotherStreamIsNotTheJournal) {
  ::setenv("JOURNAL_STREAM", "1:2", 1);
  EXPECT_THAT(logged(supervisor(), text(), "listening"), StartsWith("20"));
  ::unsetenv("JOURNAL_STREAM");
}

TEST(JsonLog, OneObjectALine) {
  const std::string line = logged(sub_worker(), json(), "listening", Level::error);
  ASSERT_EQ(line.find('\n'), line.size() - 1);
  auto object = nlohmann::json::parse(line);
  EXPECT_THAT(object.at("time").get<std::string>(), MatchesRegex("[0-9-]+T[0-9:]+\\.[0-9]+Z"));
  object.erase("time");
  EXPECT_EQ(object, (nlohmann::json{{"level", "error"},
                                    {"component", "subworker"},
                                    {"role", "sub-worker"},
                                    {"group", "\"kitchen\""},
                                    {"slot", 3},
                                    {"pid", ::getpid()},
                                    {"message", "listening"}}));
}

TEST(JsonLog, TheJobHasFieldsOfItsOwn) {
  const auto object = nlohmann::json::parse(logged(sub_worker(), json(), [] {
    const LogContext context(17, "dishes.\"wash\"", 2);
    log_output("stdout", "a plate");
  }));
  EXPECT_EQ(object.at("job"), 17);
  EXPECT_EQ(object.at("task"), "dishes.\"wash\"");
  EXPECT_EQ(object.at("attempt"), 2);
  EXPECT_EQ(object.at("stream"), "stdout");
  EXPECT_EQ(object.at("component"), "task");
  EXPECT_EQ(object.at("message"), "a plate");
}

TEST(JsonLog, TheTraceOfAJobIsAField) {
  const auto line_of = [](const std::string& traceparent) {
    return nlohmann::json::parse(logged(sub_worker(), json(), [&] {
      const LogContext context(17, "dishes.wash", 2, traceparent);
      sys::log.info("half way");
    }));
  };
  EXPECT_EQ(line_of("00-4bf9-01").at("traceparent"), "00-4bf9-01");
  EXPECT_FALSE(line_of("").contains("traceparent"));
}

TEST(JsonLog, FieldsKeepTheirTypes) {
  const auto object = nlohmann::json::parse(logged(supervisor(), json(), [] {
    const LogFields fields({{"elapsed_s", 3.5},
                            {"rss_bytes", 4096},
                            {"state", "D"},
                            {"stack", std::vector<std::string>{"a", "b"}}});
    log_of(Component::job).warn("is slow");
  }));
  EXPECT_EQ(object.at("elapsed_s"), 3.5);
  EXPECT_EQ(object.at("rss_bytes"), 4096);
  EXPECT_EQ(object.at("state"), "D");
  EXPECT_EQ(object.at("stack"), (nlohmann::json{"a", "b"}));
}

TEST(JsonLog, JsonIsPartOfTheLineUnlessItIsNone) {
  const auto shown = [](const std::string& text) {
    return nlohmann::json::parse(logged(supervisor(), json(),
                                        [&] {
                                          const LogFields fields({{"fields", LogJson{text}}});
                                          sys::log.info("x");
                                        }))
        .at("fields");
  };
  EXPECT_EQ(shown("{\"a\": [1, null]}"), (nlohmann::json{{"a", {1, nullptr}}}));
  EXPECT_EQ(shown("{\"a\": 1}, \"level\": 2"), "{\"a\": 1}, \"level\": 2")
      << "what would break out is a string";
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_EQ(shown(deep), deep);
}

TEST(JsonLog, AnyMessageStaysOneValidObject) {
  const std::string nasty =
      "quote \" backslash \\ newline \n control \x01 delete \x7f umlaut \xc3\xa4 broken \xc3";
  const std::string line = logged(supervisor(), json(), nasty);
  ASSERT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_EQ(nlohmann::json::parse(line).at("message"),
            "quote \" backslash \\ newline \n control \x01 delete \x7f umlaut \xc3\xa4 broken \xef\xbf\xbd");
}

TEST(Log, AComponentMayHaveALevelOfItsOwn) {
  LogOptions options = text();
  options.levels = {{"database", "debug"}, {"task", "warning"}};
  const std::string lines = logged(sub_worker(), options, [] {
    log_of(Component::database).debug("connecting");
    log_of(Component::job).debug("left out");
    log_output("stdout", "left out");
    sys::log.info("idle");
  });
  EXPECT_THAT(lines, MatchesRegex(".*\\] connecting\n.*\\] idle\n"));
}

TEST(Log, LevelsAndFormChangeWhileItRuns) {
  testing::internal::CaptureStderr();
  init_log(supervisor(), text());
  apply_log({.level = "error", .levels = {{"job", "info"}}, .json = true});
  sys::log.warn("left out");
  log_of(Component::job).info("said");
  EXPECT_EQ(nlohmann::json::parse(testing::internal::GetCapturedStderr()).at("message"), "said");
}

TEST(Log, WhatDoesNotExistIsRefusedAndChangesNothing) {
  testing::internal::CaptureStderr();
  init_log(supervisor(), text());
  EXPECT_THROW(apply_log({.level = "loud"}), std::invalid_argument);
  EXPECT_THROW(apply_log({.level = "error", .levels = {{"jobs", "info"}}}), std::invalid_argument);
  EXPECT_THROW(apply_log({.level = "error", .levels = {{"job", "loud"}}}), std::invalid_argument);
  EXPECT_THROW(apply_log({.level = "error", .file = "/no/such/directory/log"}), std::system_error);
  sys::log.info("as before");
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr(" info  [supervisor"));
}

// A directory with a log file in it.
class LogFile : public testing::Test {
 protected:
  LogFile() {
    std::string pattern = "/tmp/postpone-log-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    init_log(supervisor(), {.file = path()});
  }
  ~LogFile() override {
    apply_log({});
    std::filesystem::remove_all(directory_);
  }
  std::string path(const std::string& name = "log") const { return (directory_ / name).string(); }
  std::string content(const std::string& name = "log") const {
    std::ifstream file(path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::filesystem::path directory_;
};

TEST_F(LogFile, IsOpenedAgainUnderItsName) {
  sys::log.info("one");
  std::filesystem::rename(path(), path("log.1"));
  sys::log.info("two");
  reopen_log();
  sys::log.info("three");
  EXPECT_THAT(content("log.1"), MatchesRegex(".*\\] one\n.*\\] two\n"));
  EXPECT_THAT(content(), MatchesRegex(".*\\] three\n"));
}

TEST_F(LogFile, ThatCannotBeOpenedAgainIsKept) {
  std::filesystem::rename(path(), path("log.1"));
  std::filesystem::create_directory(path());
  reopen_log();
  sys::log.info("still here");
  EXPECT_THAT(content("log.1"), MatchesRegex(".* error \\[supervisor.*" + path() +
                                             ".*; writing on to the old one\n.*\\] still here\n"));
}

TEST_F(LogFile, TakesTheLinesOfABatchTogether) {
  {
    const LogBatch batch;
    sys::log.info("one");
    sys::log.warn("two");
    EXPECT_EQ(content(), "");
  }
  EXPECT_THAT(content(), MatchesRegex(".*\\] one\n.*\\] two\n"));
  sys::log.info("three");
  EXPECT_THAT(content(), HasSubstr("] three\n"));
}

TEST_F(LogFile, TakesWholeLinesOfALongBatch) {
  std::string before;
  {
    const LogBatch batch;
    for (int i = 0; i < 100; ++i)
      sys::log.info("a line of some length, of which a batch is longer than a piece");
    before = content();
    EXPECT_THAT(before, testing::EndsWith("a piece\n")) << "it was not all kept, and no line was cut";
  }
  const std::string all = content();
  EXPECT_LT(before.size(), all.size());
  EXPECT_EQ(std::ranges::count(all, '\n'), 100);
}

// What a pipe holds. Never waits.
std::string read_all(int fd) {
  std::string text(1 << 20, '\0');
  const ssize_t n = ::read(fd, text.data(), text.size());
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return text;
}

TEST(Log, AReaderWhoDoesNotReadIsNotWaitedFor) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  const int before = ::dup(STDERR_FILENO);
  ::dup2(ends[1], STDERR_FILENO);
  LogIdentity hasty = supervisor();
  hasty.may_wait = false;
  init_log(hasty, text());
  for (int i = 0; i < 2'000; ++i) sys::log.info("a line of some length, of which a pipe holds a few hundred");
  read_all(ends[0]);
  sys::log.info("read again");
  const std::string behind = read_all(ends[0]);
  const bool still_blocks_for_others = (::fcntl(ends[1], F_GETFL) & O_NONBLOCK) == 0;
  ::dup2(before, STDERR_FILENO);
  init_log(supervisor(), text());
  for (const int fd : {ends[0], ends[1], before}) ::close(fd);
  EXPECT_THAT(behind, HasSubstr(" log lines were lost: Resource temporarily unavailable\n"));
  EXPECT_THAT(behind, HasSubstr("] read again\n"));
  EXPECT_TRUE(still_blocks_for_others) << "the descriptor is not ours alone";
}

TEST(Log, TellsHowManyLinesWereLost) {
  init_log(supervisor(), {.file = "/dev/full"});
  sys::log.info("one");
  sys::log.info("two");
  {
    const LogBatch batch;
    sys::log.info("one of two");
    sys::log.info("two of two");
  }
  EXPECT_THAT(
      logged(supervisor(), text(), "three"),
      MatchesRegex(".* warning \\[.*\\] 4 log lines were lost: No space left on device\n.*\\] three\n"));
}

}  // namespace
}  // namespace postpone::sys
