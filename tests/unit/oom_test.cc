// Who sent a SIGKILL, as far as counters tell.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "sys/cgroup.h"
#include "sys/oom.h"
#include "tests/support/files.h"

namespace postpone::sys {
namespace {

using Verdict = OomWitness::Verdict;

TEST(CounterIn, FindsTheLineOfThatNameAndNoOther) {
  const std::string text = "low 0\noom 7\noom_kill 3\noom_group_kill 1\n";
  EXPECT_EQ(counter_in(text, "oom_kill"), 3u);
  EXPECT_EQ(counter_in(text, "oom"), 7u);
  EXPECT_EQ(counter_in(text, "max"), std::nullopt);
}

TEST(CounterIn, TakesNoWordForANumber) {
  EXPECT_EQ(counter_in("oom_kill many\n", "oom_kill"), std::nullopt);
  EXPECT_EQ(counter_in("", "oom_kill"), std::nullopt);
  EXPECT_EQ(counter_in("oom_kill", "oom_kill"), std::nullopt);
}

class Witness : public testing::Test {
 protected:
  void say(int kills) const {
    std::ofstream(directory_.file("memory.events")) << "oom 9\noom_kill " << kills << "\n";
  }
  std::string cgroup() const { return directory_.file(""); }
  tests::TemporaryDirectory directory_;
};

TEST_F(Witness, ARisenCounterOfTheSuspectsOwnCgroupIsCertain) {
  say(2);
  OomWitness witness(cgroup());
  EXPECT_EQ(witness.verdict(), Verdict::no);
  say(3);
  EXPECT_EQ(witness.verdict(), Verdict::certain);
}

TEST_F(Witness, WhatCameBeforeTheLookDoesNotCount) {
  say(0);
  OomWitness witness(cgroup());
  say(1);
  witness.look();
  EXPECT_EQ(witness.verdict(), Verdict::no);
}

TEST(OwnCgroup, IsTheLineOfVersionTwo) {
  EXPECT_EQ(cgroup_in("4:memory:/elsewhere\n0::/system.slice/postpone.service\n"),
            "/system.slice/postpone.service");
  EXPECT_EQ(cgroup_in("4:memory:/elsewhere\n"), std::nullopt);
}

TEST(CgroupMount, IsFoundWhateverOptionsStandBeforeTheDash) {
  const auto mount = cgroup_mount_in(
      "23 1 8:1 / / rw - ext4 /dev/sda1 rw\n40 30 0:37 /part /sys/fs/cgroup rw,relatime shared:4 master:2 - "
      "cgroup2 "
      "cgroup2 rw\n");
  ASSERT_TRUE(mount);
  EXPECT_EQ(mount->directory, "/sys/fs/cgroup");
  EXPECT_EQ(mount->root, "/part");
  EXPECT_FALSE(cgroup_mount_in("23 1 8:1 / / rw - ext4 /dev/sda1 rw\n"));
}

}  // namespace
}  // namespace postpone::sys
