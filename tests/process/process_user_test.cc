// Children of another user, without capabilities, and their OOM scores.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <system_error>

#include "sys/oom.h"
#include "sys/process.h"
#include "tests/process/process_fixture.h"

namespace postpone::sys {
namespace {

TEST(Spawn, TheOomScoreIsSet) {
  ProcessSpec spec{.executable = "/bin/cat", .arguments = {"/proc/self/oom_score_adj"}};
  spec.oom_score_adj = 789;
  EXPECT_EQ(output_of(spec), "789\n");
}

// A process of another user, not root, with the capabilities that starting processes of a third one takes: as
// docs/operations.md has it for a supervisor.
constexpr uid_t kThisUser = 65534;
const User kThatUser{.name = "that", .home = "/", .uid = 33, .gid = 33, .groups = {33}};

void become_one_with_ambient_capabilities() {
  const std::array capabilities{CAP_SETUID, CAP_SETGID, CAP_KILL};
  unsigned mask = 0;
  for (const int capability : capabilities) mask |= 1U << static_cast<unsigned>(capability);
  ASSERT_EQ(::prctl(PR_SET_KEEPCAPS, 1), 0);
  ASSERT_EQ(::setresgid(kThisUser, kThisUser, kThisUser), 0);
  ASSERT_EQ(::setresuid(kThisUser, kThisUser, kThisUser), 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const std::array<__user_cap_data_struct, 2> sets{{{mask, mask, mask}, {0, 0, 0}}};
  ASSERT_EQ(::syscall(SYS_capset, &header, sets.data()), 0);
  for (const int capability : capabilities)
    ASSERT_EQ(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0), 0);
  ::prctl(PR_SET_DUMPABLE, 1);  // as after exec
}

TEST(Spawn, WithoutCapabilitiesAChildCannotBecomeRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  in_a_child([] {
    become_one_with_ambient_capabilities();
    ProcessSpec spec = shell("grep -E 'Cap(Inh|Prm|Eff|Amb)' /proc/self/status");
    spec.environment = {{"PATH", "/usr/bin:/bin"}};
    EXPECT_THAT(output_of(spec), testing::HasSubstr("CapAmb:\t00000000000000e0"));
    const std::string none =
        "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
        "CapAmb:\t0000000000000000\n";
    spec.without_capabilities = true;
    EXPECT_EQ(output_of(spec), none);
    spec.user = kThatUser;
    EXPECT_EQ(output_of(spec), none);
  });
}

TEST(Spawn, AnotherUserOfTheChildLeavesTheParentAsItWas) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  in_a_child([] {
    for (const int dumpable : {1, 0}) {
      ::prctl(PR_SET_DUMPABLE, dumpable);
      Process::spawn({.executable = "/bin/true", .user = kThatUser}).reap();
      EXPECT_EQ(::prctl(PR_GET_DUMPABLE), dumpable);
      EXPECT_THROW(Process::spawn({.executable = "./no-such-program", .user = kThatUser}), SpawnError);
      EXPECT_EQ(::prctl(PR_GET_DUMPABLE), dumpable);
    }
  });
}

int score_of(pid_t pid) {
  return std::stoi(read_whole_file("/proc/" + std::to_string(pid) + "/oom_score_adj"));
}

TEST(Spawn, AParentThatNobodyMayLookIntoGivesItsChildAnOomScore) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  in_a_child([] {
    become_one_with_ambient_capabilities();
    ::setenv("POSTPONE_DUMPABLE", "0", 1);
    forbid_inspection();
    const int own = oom_score_adj();
    for (const auto& user : {std::optional<User>(), std::optional(kThatUser)}) {
      ProcessSpec spec{.executable = "/bin/cat", .arguments = {"/proc/self/oom_score_adj"}};
      spec.oom_score_adj = 789;
      spec.user = user;
      EXPECT_EQ(output_of(spec), "789\n") << "from its first moment";
      EXPECT_EQ(oom_score_adj(), own);
    }
    EXPECT_TRUE(set_oom_score_adj(own + 1));
    EXPECT_EQ(oom_score_adj(), own + 1);
  });
}

// As a program is that its user may not read: no file below /proc/self can be opened from the beginning.
TEST(Spawn, AParentWithoutAWayToItsOwnOomScoreSetsThatOfItsChild) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  in_a_child([] {
    become_one_with_ambient_capabilities();
    ::prctl(PR_SET_DUMPABLE, 0);
    for (const auto& user : {std::optional<User>(), std::optional(kThatUser)}) {
      ProcessSpec spec{.executable = "/bin/sleep", .arguments = {"1000"}};
      spec.oom_score_adj = 789;
      spec.user = user;
      EXPECT_EQ(score_of(Process::spawn(spec).pid()), 789);
    }
  });
}

TEST(FindUser, AHostThatCannotSayDoesNotSayNo) {
  EXPECT_TRUE(find_user("daemon"));
  EXPECT_FALSE(find_user("no such user"));
  in_a_child([] {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_NOFILE, &none);
    EXPECT_THROW(find_user("daemon"), std::system_error);
  });
}

}  // namespace
}  // namespace postpone::sys
