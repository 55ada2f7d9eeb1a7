#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "sys/proc.h"
#include "sys/process.h"

namespace postpone::sys {
namespace {

using namespace std::chrono_literals;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr auto kGenerous = 30s;

ProcessSpec shell(const std::string& script) {
  return {.executable = "/bin/sh", .arguments = {"-c", script}, .environment = {{"PATH", "/usr/bin:/bin"}}};
}

class Orphans : public testing::Test {
 protected:
  void SetUp() override { become_subreaper(); }
};

TEST_F(Orphans, NoneMeansNothingToDo) {
  const ReapedOrphans reaped = kill_orphans({}, kGenerous);
  EXPECT_EQ(reaped.reaped, 0);
  EXPECT_THAT(reaped.left, IsEmpty());
}

TEST_F(Orphans, ADoubleForkedDaemonIsFound) {
  Process parent = Process::spawn(shell("(setsid sleep 1000 >/dev/null 2>&1 </dev/null &) ; exit 0"));
  EXPECT_EQ(parent.reap().code, 0);
  EXPECT_EQ(kill_orphans({}, kGenerous).reaped, 1);
  EXPECT_THAT(children_of(::getpid()), IsEmpty());
}

// Each generation comes to us only when the one before it is dead.
TEST_F(Orphans, AWholeLineageIsFound) {
  Process parent = Process::spawn(
      shell("setsid sh -c 'setsid sh -c \"setsid sleep 1000 & wait\" & wait' >/dev/null 2>&1 & exit 0"));
  parent.reap();
  EXPECT_GE(kill_orphans({}, kGenerous).reaped, 1);
  EXPECT_THAT(children_of(::getpid()), IsEmpty());
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST_F(Orphans, TheDeadAreReapedToo) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  EXPECT_EQ(kill_orphans({}, kGenerous).reaped, 1);
}

TEST_F(Orphans, KnownChildrenAreSpared) {
  Process known = Process::spawn({.executable = "/bin/sleep", .arguments = {"1000"}});
  const Process stranger = Process::spawn({.executable = "/bin/sleep", .arguments = {"1000"}});
  const ReapedOrphans reaped = kill_orphans({known.pid()}, kGenerous);
  EXPECT_EQ(reaped.reaped, 1);
  EXPECT_THAT(reaped.left, IsEmpty());
  EXPECT_FALSE(known.try_reap());
  EXPECT_THAT(children_of(::getpid()), testing::ElementsAre(known.pid()));
}

TEST(ParentInStat, ANameFullOfParenthesesFoolsNobody) {
  EXPECT_EQ(parent_in_stat("4711 (cat) S 815 4711 4700 34816"), 815);
  EXPECT_EQ(parent_in_stat("4711 () R 1 (x) S) S 815 4711 4700"), 815);
  EXPECT_EQ(parent_in_stat("4711 (two\nlines) Z 815 0"), 815);
  EXPECT_EQ(parent_in_stat(""), std::nullopt);
  EXPECT_EQ(parent_in_stat("4711 (cut"), std::nullopt);
}

TEST(ChildrenOf, BothWaysOfLookingFindTheSame) {
  const Process one = Process::spawn({.executable = "/bin/sleep", .arguments = {"1000"}});
  const Process two = Process::spawn({.executable = "/bin/sleep", .arguments = {"1000"}});
  EXPECT_THAT(scanned_children(::getpid()), UnorderedElementsAre(one.pid(), two.pid()));
  EXPECT_THAT(children_of(::getpid()), UnorderedElementsAre(one.pid(), two.pid()));
}

TEST(ChildrenOf, OfAnotherProcess) {
  Process parent = Process::spawn(shell("sleep 1000 & wait"));
  while (children_of(parent.pid()).empty()) ::sched_yield();
  EXPECT_EQ(children_of(parent.pid()).size(), 1U);
  ::kill(children_of(parent.pid()).front(), SIGKILL);
  parent.reap();
}

}  // namespace
}  // namespace postpone::sys
