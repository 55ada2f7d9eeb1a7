// Deaths among sub-workers whose tasks may have only so many jobs that run at a time: a permit is free again when nothing of
// the dead lives, and not before. A job notices by a lock of the kernel when one too many runs, which its processes hold until
// the last of them is dead.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <random>
#include <string>
#include <thread>

#include "tests/support/limited_jobs.h"
#include "tests/support/signals.h"

namespace postpone::tests {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsSubsetOf;

// Whoever is killed again and again loses no job for that.
const std::string kManyDeaths = "[supervisor]\npolling_interval = \"1h\"\n[stalled]\nmax_stalled = 1000\n";

class LimitAmongDeaths : public LimitedJobs {
 protected:
  static pid_t runner(const Family& family) {
    pid_t found = 0;
    eventually([&] {
      for (const auto& [pid, title] : family.processes())
        if (title.find(": running limited.job") != std::string::npos) found = pid;
      return found != 0;
    });
    return found;
  }
  bool has_ended_as(const std::string& status) const {
    return eventually([&] { return count(status) != "0"; });
  }
};

TEST_F(LimitAmongDeaths, ThePermitOfADeadSubWorkerIsFree) {
  Family family(database_.url(), kManyDeaths + limited("q", 3, 1));
  family.wait_until_ready(3);
  defer_jobs({.count = 1, .wait = true});
  ASSERT_TRUE(have_begun(1));
  defer_jobs({.count = 3, .wait = true});
  send_signal(runner(family), SIGKILL);
  EXPECT_TRUE(have_begun(2)) << family.log();
  let_go();
  EXPECT_TRUE(all_succeed()) << family.log();
  EXPECT_THAT(places(), ElementsAre(0));
}

TEST_F(LimitAmongDeaths, ThePermitOfADeadTaskProcessIsFree) {
  Family family(database_.url(), kManyDeaths + limited("q", 3, 1));
  family.wait_until_ready(3);
  defer_jobs({.count = 1, .wait = true});
  ASSERT_TRUE(have_begun(1));
  defer_jobs({.count = 3, .wait = true});
  const pid_t sub_worker = runner(family);
  for (const pid_t task : sys::children_of(sub_worker)) send_signal(task, SIGKILL);
  EXPECT_TRUE(has_ended_as("failed"));
  EXPECT_TRUE(have_begun(2)) << family.log();
  let_go();
  EXPECT_TRUE(eventually([&] { return count("succeeded") == "3"; })) << family.log();
  EXPECT_THAT(places(), ElementsAre(0));
}

// One that was rung for a permit, and dies before it looks.
TEST_F(LimitAmongDeaths, WhoDiesInsteadOfTakingAPermitLeavesItToAnother) {
  Family family(database_.url(), kManyDeaths + limited("q", 2, 1) + limited("r", 1, 1));
  family.wait_until_ready(3);
  defer_jobs({.count = 1, .wait = true});
  ASSERT_TRUE(have_begun(1));
  defer_jobs({.count = 1, .directory = "b", .queue = "r"});
  std::this_thread::sleep_for(200ms);
  const auto of_r = family.processes("postpone: sub-worker r/");
  ASSERT_EQ(of_r.size(), 1u);
  send_signal(of_r.front(), SIGSTOP);
  let_go();
  EXPECT_TRUE(eventually([&] { return count("succeeded") == "1"; }));
  send_signal(of_r.front(), SIGKILL);
  EXPECT_TRUE(all_succeed()) << family.log();
}

TEST_F(LimitAmongDeaths, IsNeverPassedAndNoPermitIsLost) {
  Family family(database_.url(), kManyDeaths + limited("q", 4, 2, "prefetch_horizon = \"20ms\"\n"));
  family.wait_until_ready(4);
  defer_jobs({.count = 100, .places = 2, .ms = 8});
  defer_jobs({.count = 300, .places = 2});
  std::minstd_rand chance(1);
  const auto end = std::chrono::steady_clock::now() + 6s;
  while (std::chrono::steady_clock::now() < end && family.lives()) {
    const auto sub_workers = family.processes("postpone: sub-worker q/");
    if (!sub_workers.empty()) send_signal(sub_workers[chance() % sub_workers.size()], SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(chance() % 150));
  }
  EXPECT_TRUE(all_succeed()) << family.log();
  EXPECT_THAT(places(), IsSubsetOf({0, 1}));
  defer_jobs({.count = 3, .places = 2, .wait = true, .directory = "b"});
  EXPECT_TRUE(have_begun(2, "b")) << "both permits are there\n" << family.log();
  let_go("b");
  EXPECT_TRUE(all_succeed());
}

}  // namespace
}  // namespace postpone::tests
