// How a process ends, with its group or by itself, and what is known of it before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "sys/process.h"
#include "tests/process/process_fixture.h"

namespace postpone::sys {
namespace {

using namespace std::chrono_literals;

TEST(Process, AGroupDiesTogether) {
  const FdPair pipe = make_pipe();
  ProcessSpec spec = shell("sleep 1000 & echo $!; wait");
  spec.descriptors = {{pipe.second.get(), STDOUT_FILENO}};
  spec.environment = {{"PATH", "/usr/bin:/bin"}};
  spec.own_process_group = true;
  Process process = Process::spawn(spec);
  const pid_t grandchild = std::stoi(read_line(pipe.first.get()));
  EXPECT_EQ(::getpgid(process.pid()), process.pid());
  EXPECT_EQ(::getpgid(grandchild), process.pid());

  process.signal_group(SIGTERM);
  EXPECT_EQ(process.reap().code, SIGTERM);
}

TEST(Process, ReapWithinLetsARunningOneBe) {
  Process process = Process::spawn({.executable = "/bin/sleep", .arguments = {"1000"}});
  EXPECT_FALSE(process.reap_within(20ms));
  EXPECT_FALSE(process.try_reap());
  process.signal(SIGTERM);
  const auto report = process.reap_within(kGenerous);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->code, SIGTERM);
  EXPECT_FALSE(process);
  EXPECT_EQ(process.pidfd(), -1);
}

TEST(Process, AStoppedOneHasNotEnded) {
  Process process = Process::spawn({.executable = "/bin/sleep", .arguments = {"1000"}});
  process.signal(SIGSTOP);
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(process.pid()), &info, WSTOPPED | WNOWAIT), 0);
  EXPECT_FALSE(process.try_reap());
  process.signal(SIGKILL);
  EXPECT_EQ(process.reap().code, SIGKILL);
}

TEST(Process, DestroyingKillsAndReaps) {
  pid_t pid = -1;
  {
    const Process process = Process::spawn({.executable = "/bin/sleep", .arguments = {"1000"}});
    pid = process.pid();
  }
  EXPECT_EQ(::waitpid(pid, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST(Process, MovingOverARunningOneKillsThat) {
  Process process = Process::spawn({.executable = "/bin/sleep", .arguments = {"1000"}});
  const pid_t first = process.pid();
  process = Process::spawn(shell("exit 5"));
  EXPECT_EQ(::waitpid(first, nullptr, WNOHANG), -1);
  EXPECT_EQ(process.reap().code, 5);
}

TEST(Process, SignallingAnEmptyOneDoesNothing) {
  Process process;
  process.signal(SIGKILL);
  process.signal_group(SIGKILL);
  EXPECT_FALSE(process.try_reap());
  EXPECT_FALSE(process.reap_within(0ms));
}

TEST(Process, DiesWithItsParent) {
  become_subreaper();  // so that the orphan comes to us
  const FdPair pipe = make_pipe();
  ProcessSpec spec = probe({"guard", "/bin/sleep"});
  spec.descriptors = {{pipe.second.get(), STDOUT_FILENO}};
  Process guard = Process::spawn(spec);
  const pid_t guarded = std::stoi(read_line(pipe.first.get()));

  guard.signal(SIGKILL);
  guard.reap();
  int status = 0;
  ASSERT_EQ(::waitpid(guarded, &status, 0), guarded);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
}

TEST(Environment, IsCopiedWithoutWhatIsDropped) {
  ::setenv("POSTPONE_TEST_KEPT", "a=b", 1);
  ::setenv("POSTPONE_TEST_SECRET", "hidden", 1);
  const auto environment =
      current_environment([](const std::string& name) { return name == "POSTPONE_TEST_SECRET"; });
  EXPECT_THAT(environment,
              testing::Contains(std::pair<std::string, std::string>("POSTPONE_TEST_KEPT", "a=b")));
  EXPECT_THAT(environment, testing::Not(testing::Contains(testing::Key("POSTPONE_TEST_SECRET"))));
}

TEST(ResidentBytes, OfALivingAndOfNoProcess) {
  EXPECT_GT(resident_bytes(::getpid()), 1 << 20);
  EXPECT_EQ(resident_bytes(1 << 29), 0);
}

}  // namespace
}  // namespace postpone::sys
