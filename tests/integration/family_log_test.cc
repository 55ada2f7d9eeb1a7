// The log of a real family: what stands in it, and that rotating it loses nothing.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "sys/fd.h"
#include "tests/support/database.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/job_story.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::MatchesRegex;

const std::string kMisbehave = POSTPONE_EXAMPLES_DIR "/misbehave";
const std::string kTestTasks = POSTPONE_TEST_TASKS;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

class FamilyLog : public DatabaseStory {};

TEST_F(FamilyLog, EachJsonLineHasItsFields) {
  Family family(database_.url(), "[log]\nformat = \"json\"\n" + group("m", kMisbehave, 1));
  family.wait_until_ready(1, false);
  const auto id = defer("misbehave.once", "m");
  ASSERT_TRUE(becomes(id, "succeeded")) << family.log();
  ASSERT_EQ(family.stop().code, 0);
  bool spoken = false;
  bool ended = false;
  for (const std::string& line : lines_of(family.log())) {
    ASSERT_TRUE(json::accept(line)) << line;
    const json object = json::parse(line);
    for (const char* field : {"time", "level", "component", "role", "pid", "message"})
      EXPECT_TRUE(object.contains(field)) << field << ": " << line;
    EXPECT_EQ(object.contains("slot"), object.at("role") == "sub-worker") << line;
    spoken |= object == json::parse(line) && object.value("stream", "") == "stdout" &&
              object.at("message") == "attempt 2 went well" && object.at("job") == std::stoi(id) &&
              object.at("task") == "misbehave.once" && object.at("attempt") == 2 &&
              object.at("component") == "task";
    ended |= object.at("component") == "job" && object.value("attempt", 0) == 2 &&
             object.at("message").get<std::string>().starts_with("succeeded in ");
  }
  EXPECT_TRUE(spoken && ended) << family.log();
}

TEST_F(FamilyLog, HowAJobEndedIsToldToPeopleAndToMachines) {
  Family family(database_.url(), "[log]\nformat = \"json\"\n" + group("t", kTestTasks, 1));
  family.wait_until_ready(1, false);
  const auto id = defer("test.later", "t");
  const auto last = defer("test.other_error", "t");
  ASSERT_TRUE(becomes(id, "succeeded")) << family.log();
  ASSERT_TRUE(becomes(last, "failed")) << family.log();
  ASSERT_EQ(family.stop().code, 0);
  json retried;
  json failed;
  for (const std::string& line : lines_of(family.log())) {
    const json object = json::parse(line);
    if (object.value("event", "") != "job_ended") continue;
    if (object.at("job") == std::stoi(id) && object.at("attempt") == 1) retried = object;
    if (object.at("job") == std::stoi(last)) failed = object;
  }
  ASSERT_FALSE(retried.is_null() || failed.is_null()) << family.log();
  EXPECT_EQ(retried.at("ending"), "retried");
  EXPECT_EQ(retried.at("cause"), "exception");
  EXPECT_THAT(retried.at("exception_type").get<std::string>(), HasSubstr("Flaky"));
  EXPECT_EQ(retried.at("queue"), "t");
  EXPECT_GT(retried.at("run_time_s").get<double>(), 0);
  EXPECT_EQ(retried.at("retry_in_s"), 1.0);
  EXPECT_GT(retried.at("next_attempt_at").get<std::string>(), retried.at("time").get<std::string>());
  EXPECT_THAT(retried.at("message").get<std::string>(), HasSubstr(", retry in 1.0 s: "));
  EXPECT_EQ(failed.at("ending"), "failed");
  EXPECT_FALSE(failed.contains("next_attempt_at"));
  EXPECT_THAT(failed.at("message").get<std::string>(),
              HasSubstr(", failed for good: std::logic_error: not of the kind"));
}

TEST_F(FamilyLog, WhatIsSaidBetweenTwoJobsBelongsToNone) {
  Family family(database_.url(), "[log]\nformat = \"json\"\n" + group("t", kTestTasks, 1));
  family.wait_until_ready(1, false);
  ASSERT_TRUE(becomes(defer("test.murmur", "t", R"({"file": ")" + files_.file("go") + R"("})"), "succeeded"));
  std::ofstream(files_.file("go"));
  std::string found;
  EXPECT_TRUE(eventually([&] {
    for (const std::string& line : lines_of(family.log()))
      if (line.find("murmur\"") != std::string::npos && line.find("\"stdout\"") != std::string::npos)
        found = line;
    return !found.empty();
  })) << "though no other job comes: "
      << family.log();
  EXPECT_FALSE(json::parse(found).contains("job")) << found;
}

// A supervisor whose log nobody reads.
TEST_F(FamilyLog, AFullPipeStopsNobody) {
  const std::string pipe = files_.file("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const std::string wrapper = files_.file("supervisor");
  std::ofstream(wrapper) << "#!/bin/sh\nexec 2<>" + pipe + "\nexec " + POSTPONE_SUPERVISOR + " \"$@\"\n";
  std::filesystem::permissions(wrapper, std::filesystem::perms::owner_all);
  Family family(database_.url(), group("m", kMisbehave, 1), {.program = wrapper});
  ASSERT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded"));
  // The test fills what the log has left, to the last byte, and the family finds it full.
  const sys::Fd end(::open(pipe.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  for (const std::size_t piece : {std::size_t{4096}, std::size_t{1}}) {
    const std::string filling(piece, '\n');
    while (::write(end.get(), filling.data(), filling.size()) > 0) {
    }
    ASSERT_EQ(errno, EAGAIN);
  }
  for (int i = 0; i < 100; ++i) family.signal(SIGUSR1);
  EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded"));
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(FamilyLog, AComponentMayBeSilenced) {
  Family family(database_.url(),
                "[log.levels]\njob = \"warning\"\ntask = \"error\"\n" + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  ASSERT_TRUE(becomes(defer("misbehave.once", "m"), "succeeded"));
  ASSERT_EQ(family.stop().code, 0);
  EXPECT_THAT(family.log(), HasSubstr("] job 1 misbehave.once: signalled"));
  EXPECT_THAT(family.log(), Not(HasSubstr("went well")));
  EXPECT_THAT(family.log(), Not(HasSubstr("succeeded in")));
}

TEST_F(FamilyLog, UnderTheJournalEachLineHasAPriorityAndNoTime) {
  const std::string config = files_.file("config.toml");
  const std::string log = files_.file("journal");
  std::ofstream(config) << group("m", kMisbehave, 1);
  defer("misbehave.once", "m");
  const auto ended = run_program({"sh", "-c",
                                  "exec 2> " + log + "; JOURNAL_STREAM=$(stat -c %d:%i " + log +
                                      ") exec " POSTPONE_SUPERVISOR " --one-shot --config " + config},
                                 {.environment = {{"POSTPONE_DATABASE_URL", database_.url()}}});
  ASSERT_EQ(ended.exit_status, 0) << read_file(log);
  for (const std::string& line : lines_of(read_file(log)))
    EXPECT_THAT(line, MatchesRegex("<[0-7]>(info |warning|error) "
                                   "\\[(supervisor|preflight|housekeeper|sub-worker m/0) [0-9]+\\] .*"));
  EXPECT_THAT(read_file(log), HasSubstr("\n<4>warning [sub-worker m/0 "));
}

// Jobs run and lines are written all the while; afterwards each of them stands in one of the files.
TEST_F(FamilyLog, RotationLosesNoLine) {
  constexpr int kJobs = 300;
  constexpr int kRotations = 5;
  const std::string log = files_.file("family.log");
  Family family(database_.url(), "[log]\nfile = \"" + log + "\"\n" + group("t", kMisbehave, 3));
  ASSERT_TRUE(becomes(defer("misbehave.noop", "t"), "succeeded")) << family.log();
  for (int rotation = 1; rotation <= kRotations; ++rotation) {
    database_.execute(
        "SELECT count(postpone_defer('misbehave.noop', queue => 't')) FROM generate_series(1, " +
        std::to_string(kJobs / kRotations) + ")");
    const std::string old = log + "." + std::to_string(rotation);
    std::filesystem::rename(log, old);
    family.signal(SIGUSR1);
    const auto open_still = [&] {
      for (const auto& [pid, title] : family.processes()) {
        std::error_code ignored;
        for (const auto& fd :
             std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd", ignored))
          if (std::filesystem::read_symlink(fd, ignored) == old) return true;
      }
      return false;
    };
    ASSERT_TRUE(eventually([&] { return !open_still() && std::filesystem::exists(log); })) << read_file(log);
  }
  ASSERT_TRUE(eventually([&] { return count("succeeded") == std::to_string(kJobs + 1); }));
  ASSERT_EQ(family.stop().code, 0) << read_file(log);
  std::string all = read_file(log);
  for (int rotation = 1; rotation <= kRotations; ++rotation)
    all += read_file(log + "." + std::to_string(rotation));
  int told = 0;
  for (const std::string& line : lines_of(all)) {
    EXPECT_THAT(line, MatchesRegex("[0-9-]+ [0-9:.]+ [a-z]+ +\\[.* [0-9]+\\] .*"));
    if (line.find(" misbehave.noop: succeeded in ") != std::string::npos) ++told;
  }
  EXPECT_EQ(told, kJobs + 1);
  EXPECT_THAT(all, HasSubstr("] supervisor ends"));
  EXPECT_EQ(family.log(), "") << "all of it stands in the file";
}

TEST_F(FamilyLog, AFileThatCannotBeWrittenKeepsTheSupervisorFromStarting) {
  const std::string config = files_.file("config.toml");
  std::ofstream(config) << "[log]\nfile = \"/no/such/directory/log\"\n" + group("m", kMisbehave, 1);
  const auto ended = run_program({POSTPONE_SUPERVISOR, "--config", config},
                                 {.environment = {{"POSTPONE_DATABASE_URL", database_.url()}}});
  EXPECT_EQ(ended.exit_status, 3);
  EXPECT_THAT(ended.errors, HasSubstr("\"file\" in [log]: there is no directory /no/such/directory"));
}

}  // namespace
}  // namespace postpone::tests
