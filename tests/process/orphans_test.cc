#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <system_error>
#include <utility>

#include "sys/leftovers.h"
#include "sys/proc.h"
#include "sys/process.h"
#include "tests/support/signals.h"

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

TEST_F(Orphans, DeadStrangersAreReapedAndTheLivingAndTheKnownAreNot) {
  Process known = Process::spawn(shell("exit 7"));
  Process living = Process::spawn({.executable = "/bin/sleep", .arguments = {"1000"}});
  const pid_t stranger = ::fork();
  if (stranger == 0) ::_exit(0);
  const pid_t second = ::fork();
  if (second == 0) ::_exit(0);
  for (const pid_t pid : {known.pid(), stranger, second}) {
    siginfo_t dead{};
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &dead, WEXITED | WNOWAIT), 0);
  }
  reap_dead({known.pid(), living.pid()});
  EXPECT_THAT(children_of(::getpid()), UnorderedElementsAre(known.pid(), living.pid()));
  EXPECT_EQ(known.reap().code, 7);
  living.signal(SIGKILL);
  living.reap();
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

// A task process of shell commands: it says on descriptor 5 that it is ready, and goes on when it is told to.
class OfATask : public Orphans {
 protected:
  void TearDown() override {
    task_.signal(SIGKILL);
    task_.reap();
    kill_orphans({}, kGenerous);
  }
  void start(const std::string& script) {
    FdPair orders = make_pipe();
    FdPair answers = make_pipe();
    ProcessSpec spec = shell(script);
    spec.descriptors = {{orders.first.get(), STDIN_FILENO}, {answers.second.get(), 5}};
    task_ = Process::spawn(spec);
    orders_ = std::move(orders.second);
    answers_ = std::move(answers.first);
    wait_until_ready();
  }
  void wait_until_ready() {
    char word[8];
    ASSERT_EQ(::read(answers_.get(), word, sizeof word), 6);
  }
  void go_on() {
    ASSERT_EQ(::write(orders_.get(), "\n", 1), 1);
    wait_until_ready();
  }

  Process task_;
  Fd orders_;
  Fd answers_;
};

TEST_F(OfATask, NoneLeftIsNothingToDo) {
  start("echo ready >&5; read x");
  const Leftovers leftovers(task_.pid());
  const auto sweep = leftovers.sweep(kGenerous);
  EXPECT_EQ(sweep.killed, 0);
  EXPECT_EQ(sweep.dead, 0);
  EXPECT_THAT(sweep.left, IsEmpty());
  EXPECT_FALSE(task_.try_reap()) << "it is none of those";
}

TEST_F(OfATask, ALivingChildIsKilled) {
  start("echo ready >&5; read x; sleep 1000 & echo ready >&5; read y");
  const Leftovers leftovers(task_.pid());
  go_on();
  EXPECT_EQ(leftovers.sweep(kGenerous).killed, 1);
  EXPECT_EQ(leftovers.sweep(kGenerous).killed, 0);
}

// Until the next look succeeds, something may live.
TEST_F(OfATask, WithoutADescriptorForALookItIsNoCleanLook) {
  start("echo ready >&5; read x; sleep 1000 & echo ready >&5; read y");
  const Leftovers leftovers(task_.pid());
  go_on();
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlimit none{0, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &none);
  EXPECT_THROW(leftovers.sweep(kGenerous), std::system_error);
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(leftovers.sweep(kGenerous).killed, 1);
}

// A process without CAP_SYS_PTRACE, whose /proc shows no process of another user.
void hide_others() {
  constexpr gid_t kNoGroup = 65534;  // /proc shows all to the group of root
  constexpr std::uint64_t kTrace = std::uint64_t{1} << CAP_SYS_PTRACE;
  ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
  ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  ASSERT_EQ(::mount("proc", "/proc", "proc", 0, "hidepid=2"), 0);
  ASSERT_EQ(::setgroups(0, nullptr), 0);
  ASSERT_EQ(::setresgid(kNoGroup, kNoGroup, kNoGroup), 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  ASSERT_EQ(::syscall(SYS_capget, &header, sets.data()), 0);
  sets[0].effective &= static_cast<std::uint32_t>(~kTrace);
  sets[0].permitted &= static_cast<std::uint32_t>(~kTrace);
  ASSERT_EQ(::syscall(SYS_capset, &header, sets.data()), 0);
}

TEST_F(Orphans, ATaskProcessThatIsHiddenIsNotTakenForOneThatIsGone) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const pid_t story = ::fork();
  if (story == 0) {
    hide_others();
    const User user{.name = "other", .home = "/", .uid = 33, .gid = 33, .groups = {33}};
    ProcessSpec spec = shell("sleep 1000 & wait");
    spec.user = user;
    const Process task = Process::spawn(spec);
    const Leftovers leftovers(task.pid());
    EXPECT_THROW(leftovers.sweep(kGenerous), std::system_error);
    EXPECT_TRUE(run_and_capture(spec, 50ms, 100).hidden);
    ::_exit(HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(story, &status, 0), story);
  EXPECT_EQ(status, 0);
  kill_orphans({}, kGenerous);
}

TEST_F(Orphans, TheDeadOfATaskThatDoesNotWaitForThemAreCounted) {
  FdPair orders = make_pipe();
  const pid_t task = ::fork();
  if (task == 0) {
    char order = 0;
    orders.second.reset();
    if (::read(orders.first.get(), &order, 1) == 1 && ::fork() == 0) ::_exit(0);
    for (;;) ::pause();
  }
  const Leftovers leftovers(task);
  EXPECT_EQ(leftovers.sweep(kGenerous).dead, 0);
  ASSERT_EQ(::write(orders.second.get(), "\n", 1), 1);
  while (children_of(task).empty()) ::sched_yield();
  while (standing_of(children_of(task).front())->state != 'Z') ::sched_yield();
  EXPECT_EQ(leftovers.sweep(kGenerous).dead, 1);
  EXPECT_EQ(leftovers.sweep(kGenerous).killed, 0);
  tests::send_signal(task, SIGKILL);
  ::waitpid(task, nullptr, 0);
  kill_orphans({}, kGenerous);
}

TEST_F(OfATask, WhatRanBeforeIsKeptWithWhatItStartsAndTheRestIsNot) {
  start(
      "sh -c 'while :; do sleep 0.01; done' & echo ready >&5; read x;"
      "sleep 1001 & echo ready >&5; read y");
  const pid_t helper = children_of(task_.pid()).front();
  const Leftovers leftovers(task_.pid());
  go_on();
  EXPECT_EQ(leftovers.sweep(kGenerous).killed, 1);
  EXPECT_TRUE(tests::send_signal(helper, 0));
  EXPECT_EQ(leftovers.sweep(kGenerous).killed, 0);
}

TEST_F(OfATask, OrphansOfItsChildrenAreFoundBelowUs) {
  start(
      "echo ready >&5; read x; (setsid sh -c 'sleep 1000 & sleep 1001 & echo ready >&5; wait' &);"
      "sleep 1002 & read y");
  const Leftovers leftovers(task_.pid());
  go_on();
  EXPECT_GE(leftovers.sweep(kGenerous).killed, 3);
  EXPECT_THAT(children_of(::getpid()), testing::ElementsAre(task_.pid()));
}

TEST(StandingInStat, ANameFullOfParenthesesFoolsNobody) {
  const std::string rest = " 815 4711 4700 34816 1 2 3 4 5 6 7 8 9 10 11 12 13 14 778 99";
  for (const char* name : {"(cat) S", "() R 1 (x) S) S", "(two\nlines) S"}) {
    const auto standing = standing_in_stat("4711 " + std::string(name) + rest);
    ASSERT_TRUE(standing) << name;
    EXPECT_EQ(standing->state, 'S');
    EXPECT_EQ(standing->parent, 815);
    EXPECT_EQ(standing->started, 778U);
  }
  EXPECT_FALSE(standing_in_stat(""));
  EXPECT_FALSE(standing_in_stat("4711 (cut"));
  EXPECT_FALSE(standing_in_stat("4711 (cut short) S 815 4711"));
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
  tests::send_signal(children_of(parent.pid()).front(), SIGKILL);
  parent.reap();
}

}  // namespace
}  // namespace postpone::sys
