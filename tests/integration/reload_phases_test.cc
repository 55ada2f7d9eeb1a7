// SIGHUP to a family that is paused, drains, or ends by itself; and SIGHUP again and again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/integration/reload_story.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"

namespace postpone::tests {
namespace {

using testing::HasSubstr;

TEST_F(Reload, WhoIsPausedTakesTheNewConfigurationAndStaysPaused) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  family.signal(SIGTSTP);
  ASSERT_TRUE(eventually([&] { return family.log().find("paused") != std::string::npos; }));
  const auto before = family.processes("postpone: sub-worker m/");
  const auto id = defer("misbehave.noop", "m");
  EXPECT_THAT(reload(family, kNoPolling + group("m", kMisbehave, 2, "max_jobs = 9")), HasSubstr("in force"));
  ASSERT_TRUE(eventually([&] {
    const auto now = family.processes("postpone: sub-worker m/");
    return now.size() == 2 && std::find(now.begin(), now.end(), before.at(0)) == now.end();
  }));
  ASSERT_TRUE(idles(family, "m/", 2));
  EXPECT_EQ(status(id), "todo") << "both have looked once, to be ready";
  family.signal(SIGCONT);
  EXPECT_TRUE(becomes(id, "succeeded"));
  EXPECT_EQ(family.stop().code, 0);
}

// With --one-shot the family ends when there is nothing left to do, but not before it knows what there is.
TEST_F(Reload, ANewConfigurationIsWaitedForBeforeOneShotEnds) {
  const std::string slow = files_.file("slow");
  std::ofstream(slow) << "#!/bin/sh\nwhile [ \"$1\" = --describe ] && ! [ -e " << files_.file("answer")
                      << " ]; do sleep 0.01; done\nexec " << kTestTasks << " \"$@\"\n";
  std::filesystem::permissions(slow, std::filesystem::perms::owner_all);
  const auto first = defer("test.until", "t", R"({"file": ")" + files_.file("first") + R"("})");
  const auto second = defer("test.tick", "more");
  Family family(database_.url(), kNoPolling + group("t", kTestTasks, 1), {.arguments = {"--one-shot"}});
  ASSERT_TRUE(becomes(first, "doing"));
  family.rewrite(kNoPolling + group("t", kTestTasks, 1) + group("more", slow, 1));
  family.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return !family.processes("postpone: preflight").empty(); }));
  release("first");
  ASSERT_TRUE(becomes(first, "succeeded") && idles(family, "t/", 1));
  release("answer");
  EXPECT_EQ(family.wait().code, 0);
  EXPECT_EQ(status(second), "succeeded") << family.log();
}

TEST_F(Reload, WhoIsToldToLeaveStaysToldWhenTheOthersArePaused) {
  Family family(database_.url(), kNoPolling + group("t", kTestTasks, 1) + group("m", kMisbehave, 1));
  family.wait_until_ready(2);
  const auto busy = long_job("t", "busy");
  reload(family, kNoPolling + group("m", kMisbehave, 1));
  family.signal(SIGTSTP);
  ASSERT_TRUE(eventually([&] { return family.log().find("paused") != std::string::npos; }));
  family.signal(SIGCONT);
  ASSERT_TRUE(eventually([&] { return family.log().find("resumed") != std::string::npos; }));
  release("busy");
  EXPECT_TRUE(becomes(busy, "succeeded"));
  EXPECT_TRUE(has(family, "t/", 0));
  EXPECT_EQ(family.stop().code, 0);
}

// What drains is given the grace, also who was told to leave before and had all the time in the world.
TEST_F(Reload, DrainingEndsTheWaitForThoseThatWereToldToLeave) {
  const std::string grace = "[supervisor]\nshutdown_grace = \"0s\"\n";
  Family family(database_.url(),
                grace + group("t", kTestTasks, 1, "abort_grace = \"100ms\"") + group("m", kMisbehave, 1));
  family.wait_until_ready(2);
  const auto busy = long_job("t", "busy");
  reload(family, grace + group("m", kMisbehave, 1));
  EXPECT_EQ(family.stop().code, 0);
  EXPECT_EQ(status(busy), "todo") << "interrupted, and waits again";
}

// Jobs that wait for their files: at each reload some run, some wait, and those of the reload before end.
TEST_F(Reload, NoJobIsLostHoweverOftenTheFileIsRead) {
  constexpr int kReloads = 6, kJobsEach = 8;
  const auto config = [](int count, const std::string& more) {
    return kNoPolling + group("t", kTestTasks, count, more);
  };
  Family family(database_.url(), config(3, ""));
  family.wait_until_ready(3);
  sql("SELECT count(postpone_defer('test.until', queue => 't', args => jsonb_build_object('file', '" +
      files_.file("round.") + "' || n / " + std::to_string(kJobsEach) + "))) FROM generate_series(0, " +
      std::to_string(kReloads * kJobsEach - 1) + ") AS n");
  for (int i = 0; i < kReloads; ++i) {
    ASSERT_TRUE(eventually([&] {
      return sql("SELECT count(*) > 0 FROM procrastinate_jobs WHERE queue_name = 't' AND status = 'doing'") ==
             "t";
    }));
    EXPECT_THAT(reload(family, config(i % 2 == 0 ? 1 : 4, "max_jobs = " + std::to_string(100 + i))),
                HasSubstr("in force"));
    release("round." + std::to_string(i));
  }
  EXPECT_TRUE(eventually([&] {
    return sql("SELECT count(*) FROM procrastinate_jobs WHERE queue_name = 't' AND status IN ('todo', "
               "'doing')") == "0";
  })) << family.log();
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_jobs WHERE queue_name = 't' AND status = 'succeeded' AND "
                "attempts = 1"),
            std::to_string(kReloads * kJobsEach));
  EXPECT_TRUE(has(family, "t/", 4));
  EXPECT_EQ(family.stop().code, 0);
}

}  // namespace
}  // namespace postpone::tests
