// Who is replaced for a new configuration or a new program, when, and who is not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/integration/reload_story.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/signals.h"

namespace postpone::tests {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

// It asks the task executables for their schedules, and that must not keep it.
TEST_F(Reload, AHousekeeperThatWaitsForAnAnswerIsReplacedAtOnce) {
  const auto config = [&](const std::string& tasks) {
    std::string text = kNoPolling;
    for (const std::string name : {"a", "b", "c"})
      text += group(name, tasks, 1, "arguments = [\"" + name + "\"]");
    return text;
  };
  const std::string tasks = files_.file("answers-once");
  std::ofstream(tasks) << "#!/bin/sh\n[ \"$1\" != --describe ] || mkdir " << files_.file("asked.")
                       << "$2 || exec sleep 1000\nexec " << kTestTasks << " \"$1\"\n";
  std::filesystem::permissions(tasks, std::filesystem::perms::owner_all);
  Family family(database_.url(), config(tasks));
  family.wait_until_ready(3);
  ASSERT_TRUE(eventually([&] { return sleepers(family) == 1; }));
  const auto before = family.processes("postpone: housekeeper");
  EXPECT_THAT(reload(family, config(kTestTasks)), HasSubstr("group c has changed"));
  EXPECT_TRUE(eventually([&] {
    const auto now = family.processes("postpone: housekeeper");
    return now.size() == 1 && now != before;
  }));
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, WhoDiesInTheMiddleIsReplacedByOneWithTheNewConfiguration) {
  const auto with = [](const std::string& oven) {
    return kNoPolling + group("t", kTestTasks, 1, "environment = { OVEN = \"" + oven + "\" }") +
           group("m", kMisbehave, 1);
  };
  Family family(database_.url(), with("cold"));
  family.wait_until_ready(2);
  const auto busy = long_job("t", "busy");
  ASSERT_TRUE(eventually([&] { return runner_of(family, busy) != 0; }));
  const auto housekeeper = family.processes("postpone: housekeeper");
  EXPECT_THAT(reload(family, with("hot")), HasSubstr("group t has changed"));
  for (const pid_t pid : housekeeper) send_signal(pid, SIGKILL);
  send_signal(runner_of(family, busy), SIGKILL);
  release("busy");
  EXPECT_TRUE(becomes(busy, "succeeded")) << family.log();
  const auto id = defer("test.surroundings", "t", R"({"file": ")" + files_.file("seen") + R"("})");
  EXPECT_TRUE(becomes(id, "succeeded"));
  EXPECT_THAT(read_file(files_.file("seen")), HasSubstr("OVEN=hot"));
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_workers"), "2");
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, AChangedGroupIsReplacedOneByOneAfterItsJobs) {
  const auto with = [](const std::string& oven) {
    return kNoPolling + group("t", kTestTasks, 2, "environment = { OVEN = \"" + oven + "\" }") +
           group("m", kMisbehave, 1);
  };
  Family family(database_.url(), with("cold"));
  family.wait_until_ready(3);
  const auto busy = long_job("t", "busy");
  const auto untouched = family.processes("postpone: sub-worker m/");
  EXPECT_THAT(reload(family, with("hot")), HasSubstr("group t has changed"));
  // The idle one is a new one soon; the other has its job to finish first.
  EXPECT_TRUE(eventually([&] {
    const auto id = defer("test.surroundings", "t", R"({"file": ")" + files_.file("seen") + R"("})");
    return becomes(id, "succeeded") && read_file(files_.file("seen")).find("OVEN=hot") != std::string::npos;
  })) << family.log();
  EXPECT_EQ(status(busy), "doing");
  release("busy");
  EXPECT_TRUE(becomes(busy, "succeeded"));
  EXPECT_TRUE(has(family, "t/", 2));
  EXPECT_EQ(family.processes("postpone: sub-worker m/"), untouched);
  EXPECT_EQ(sql("SELECT count(*) FROM postpone_attempts WHERE cause <> 'succeeded'"), "0");
  EXPECT_EQ(family.stop().code, 0);
}

// The way to deploy: put another file in the place of the old one, send SIGHUP.
TEST_F(Reload, AnotherTaskExecutableAtTheSamePlaceIsTaken) {
  const std::string tasks = files_.file("tasks");
  std::filesystem::copy_file(kMisbehave, tasks);
  const std::string config = kNoPolling + group("t", tasks, 2);
  Family family(database_.url(), config);
  family.wait_until_ready(2);
  EXPECT_THAT(reload(family, config), HasSubstr("nothing has changed"));
  std::filesystem::copy_file(kTestTasks, tasks + ".new");
  std::filesystem::rename(tasks + ".new", tasks);
  EXPECT_THAT(reload(family, config), HasSubstr("another task executable"));
  EXPECT_TRUE(eventually([&] {
    const auto id = defer("test.append", "t", R"({"file": ")" + files_.file("out") + R"(", "text": "x"})");
    return eventually([&] { return status(id) != "todo" && status(id) != "doing"; }) &&
           status(id) == "succeeded";
  })) << family.log();
  EXPECT_EQ(family.stop().code, 0);
}

// An upgrade of Postpone itself: what runs goes on with the programs that it was started with.
TEST_F(Reload, AnUpgradeOfTheProgramsDoesNotTouchAFamilyThatRuns) {
  for (const std::string program : {POSTPONE_SUPERVISOR, POSTPONE_SUBWORKER})
    std::filesystem::copy_file(program, files_.file(std::filesystem::path(program).filename()));
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1),
                {.program = files_.file("postpone-supervisor")});
  family.wait_until_ready(1);
  std::filesystem::remove(files_.file("postpone-subworker"));
  std::ofstream(files_.file("postpone-subworker")) << "#!/bin/sh\nexit 2\n";
  const auto before = family.processes("postpone: sub-worker m/");
  ASSERT_THAT(before, SizeIs(1));
  EXPECT_EQ(read_file("/proc/" + std::to_string(before[0]) + "/comm"), "postpone-subwor\n");
  send_signal(before[0], SIGKILL);
  EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded")) << family.log();
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, LogLevelsAreTakenWithoutReplacingAnybody) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  const auto before = family.processes("postpone: sub-worker m/");
  const auto is_told_of = [&](const std::string& id) {
    EXPECT_TRUE(becomes(id, "succeeded"));
    // Another job behind it: what is said of the first one has been said.
    EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded"));
    return family.log().find("job " + id + " misbehave.noop: succeeded") != std::string::npos;
  };
  EXPECT_TRUE(is_told_of(defer("misbehave.noop", "m")));
  EXPECT_THAT(reload(family, kNoPolling + "[log.levels]\njob = \"error\"\n" + group("m", kMisbehave, 1)),
              HasSubstr("in force: log levels"));
  EXPECT_TRUE(eventually([&] { return !is_told_of(defer("misbehave.noop", "m")); })) << family.log();
  EXPECT_EQ(family.processes("postpone: sub-worker m/"), before);
  EXPECT_EQ(family.stop().code, 0);
}

}  // namespace
}  // namespace postpone::tests
