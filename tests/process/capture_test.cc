#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "sys/process.h"

namespace postpone::sys {
namespace {

using namespace std::chrono_literals;

constexpr auto kGenerous = 30s;
constexpr std::size_t kPlenty = 1 << 20;

Captured run(const std::string& script, std::chrono::milliseconds limit = kGenerous,
             std::size_t max_bytes = kPlenty) {
  const ProcessSpec spec{
      .executable = "/bin/sh", .arguments = {"-c", script}, .environment = {{"PATH", "/usr/bin:/bin"}}};
  return run_and_capture(spec, limit, max_bytes);
}

TEST(Capture, KeepsTheStreamsApart) {
  const Captured captured = run("echo out; echo err >&2");
  EXPECT_EQ(captured.output, "out\n");
  EXPECT_EQ(captured.diagnostics, "err\n");
  EXPECT_EQ(captured.problem, "");
  EXPECT_FALSE(captured.hidden);
}

TEST(Capture, NamesTheExitStatus) {
  const Captured captured = run("echo half; exit 7");
  EXPECT_EQ(captured.output, "half\n");
  EXPECT_EQ(captured.problem, "ended with exit status 7");
}

TEST(Capture, NamesTheSignal) {
  EXPECT_EQ(run("kill -KILL $$").problem, "ended with signal 9 (Killed)");
}

TEST(Capture, NamesWhatCannotBeStarted) {
  EXPECT_EQ(run_and_capture({.executable = "./no-such-program"}, kGenerous, kPlenty).problem,
            "cannot start ./no-such-program: execve: No such file or directory");
}

// Whichever of the descriptors it needs is the one too many.
TEST(Capture, WithoutDescriptorsNothingIsStartedForNow) {
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  bool started = false;
  int refused = 0;
  for (rlim_t most = 0; !started && most < 64; ++most) {
    const rlimit few{most, before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &few);
    const Captured captured = run_and_capture({.executable = "/bin/true"}, kGenerous, kPlenty);
    ::setrlimit(RLIMIT_NOFILE, &before);
    started = captured.problem.empty();
    if (started) break;
    ++refused;
    EXPECT_EQ(captured.end, Captured::End::not_started) << captured.problem;
    EXPECT_TRUE(is_passing(captured.error_number)) << captured.problem;
    EXPECT_THAT(captured.problem, testing::StartsWith("cannot start /bin/true: ")) << captured.problem;
  }
  EXPECT_TRUE(started);
  EXPECT_GT(refused, 5);
}

TEST(Capture, WhatIsThrownMeanwhileIsPassedOn) {
  const auto fail = [] { throw std::system_error(EMFILE, std::generic_category()); };
  EXPECT_THROW(run_and_capture({.executable = "/bin/true"}, kGenerous, kPlenty, fail), std::system_error);
}

TEST(Capture, MoreThanAPipeHolds) {
  const Captured captured = run("head -c 500000 /dev/zero");
  EXPECT_EQ(captured.output.size(), 500'000U);
  EXPECT_EQ(captured.problem, "");
}

TEST(Capture, ExactlyTheMostIsNoFlood) {
  const Captured captured = run("head -c 1000 /dev/zero", kGenerous, 1000);
  EXPECT_EQ(captured.output.size(), 1000U);
  EXPECT_EQ(captured.problem, "");
}

TEST(Capture, AProblemIsExplainedByTheLineThatTellsMost) {
  EXPECT_EQ(explain(run("exit 3")), "ended with exit status 3");
  EXPECT_EQ(explain(run("echo no plates >&2; echo more >&2; exit 3")), "ended with exit status 3: no plates");
  const std::string program = "\"import no_such_module\"";
  EXPECT_EQ(explain(run("exec /usr/bin/python3 -c " + program)),
            "ended with exit status 1: ModuleNotFoundError: No module named 'no_such_module'");
}

TEST(Capture, AFloodIsStopped) {
  const Captured captured = run("yes", kGenerous, 1000);
  EXPECT_EQ(captured.output.size(), 1000U);
  EXPECT_EQ(captured.problem, "wrote more than 1000 bytes to stdout");
}

TEST(Capture, TheLimitKillsTheWholeGroup) {
  const Captured captured = run("echo begun; sleep 1000 & sleep 1000", 50ms);
  EXPECT_EQ(captured.problem, "did not end within 50 ms");
  EXPECT_THAT(children_of(::getpid()), testing::IsEmpty());
}

TEST(Capture, WhatItLeavesBehindIsNotWaitedFor) {
  const Captured captured = run("sleep 1000 & echo done");
  EXPECT_EQ(captured.output, "done\n");
  EXPECT_EQ(captured.problem, "");
}

TEST(Capture, ADaemonThatHoldsThePipeIsNotWaitedFor) {
  become_subreaper();
  const Captured captured =
      run("setsid sleep 1000 & until grep -q sleep /proc/$!/comm; do :; done; echo done");
  EXPECT_EQ(captured.output, "done\n");
  EXPECT_EQ(captured.problem, "");
  kill_orphans({}, kGenerous);
}

TEST(Capture, ThereIsNothingOnStdin) {
  EXPECT_EQ(run("cat; echo end").output, "end\n");
}

TEST(Capture, StdinMayBeGiven) {
  const Fd text = make_sealed_memfd("text", "text");
  ::lseek(text.get(), 0, SEEK_SET);
  const ProcessSpec spec{.executable = "/bin/cat", .descriptors = {{text.get(), STDIN_FILENO}}};
  EXPECT_EQ(run_and_capture(spec, kGenerous, kPlenty).output, "text");
}

}  // namespace
}  // namespace postpone::sys
