// What Process::spawn() starts: arguments, environment, descriptors, signals, and failures that are named.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <iterator>

#include "sys/process.h"
#include "tests/process/process_fixture.h"

namespace postpone::sys {
namespace {

using namespace std::chrono_literals;

TEST(Spawn, ReportsTheExitStatus) {
  const ExitReport report = Process::spawn(shell("exit 3")).reap();
  EXPECT_FALSE(report.signalled);
  EXPECT_EQ(report.code, 3);
  EXPECT_EQ(to_string(report), "exit status 3");
}

TEST(Spawn, ReportsTheSignal) {
  const ExitReport report = Process::spawn(shell("kill -SEGV $$")).reap();
  EXPECT_TRUE(report.signalled);
  EXPECT_EQ(report.code, SIGSEGV);
  EXPECT_EQ(to_string(report), "signal 11 (Segmentation fault)");
}

TEST(Spawn, ReportsWhatWasUsed) {
  const ExitReport report = Process::spawn(shell("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done")).reap();
  EXPECT_GT(report.cpu_time, 0us);
  EXPECT_GT(report.max_rss_bytes, 100 * 1024);
}

TEST(Spawn, AMissingExecutableNamesTheStep) {
  try {
    Process::spawn({.executable = "./no-such-program"});
    FAIL();
  } catch (const SpawnError& error) {
    EXPECT_STREQ(error.what(), "cannot start ./no-such-program: execve: No such file or directory");
    EXPECT_EQ(error.error_number(), ENOENT);
  }
  EXPECT_THAT(children_of(::getpid()), testing::IsEmpty());
}

TEST(Spawn, PathIsNotSearched) {
  EXPECT_THROW(Process::spawn({.executable = "sh"}), SpawnError);
}
TEST(Spawn, AnEmptyNameIsRefused) {
  EXPECT_THROW(Process::spawn({.executable = ""}), SpawnError);
}

TEST(Spawn, ADescriptorThatIsNotOpenNamesTheStep) {
  try {
    Process::spawn({.executable = "/bin/true", .descriptors = {{1'000'000, 3}}});
    FAIL();
  } catch (const SpawnError& error) {
    EXPECT_STREQ(error.what(), "cannot start /bin/true: passing descriptors: Bad file descriptor");
  }
}

// The targets cover every number that the wire between parent and child could have got.
TEST(Spawn, AFailureIsHeardWhateverTheTargets) {
  const FdPair pipe = make_pipe();
  ProcessSpec spec{.executable = "./no-such-program"};
  for (int target = 0; target < 40; ++target) spec.descriptors.push_back({pipe.second.get(), target});
  EXPECT_THROW(Process::spawn(spec), SpawnError);
}

TEST(Spawn, ArgumentsArriveAsTheyAre) {
  ProcessSpec spec = shell(R"(printf '[%s]' "$0" "$@")");
  spec.arguments.insert(spec.arguments.end(), {"zero", "", "two words", "\"quoted\"\n"});
  EXPECT_EQ(output_of(spec), "[zero][][two words][\"quoted\"\n]");
}

TEST(Spawn, TheEnvironmentIsExactlyTheOneGiven) {
  ProcessSpec spec{.executable = "/usr/bin/env"};
  spec.environment = {{"ONE", "1"}, {"EMPTY", ""}, {"TWO", "a=b"}};
  EXPECT_EQ(output_of(spec), "ONE=1\nEMPTY=\nTWO=a=b\n");
}

TEST(Spawn, OnlyTheNamedDescriptorsAreInherited) {
  const FdPair pipe = make_pipe();
  const int leaky = ::fcntl(pipe.first.get(), F_DUPFD, 100);  // as a careless library opens them
  ProcessSpec spec = probe({"descriptors"});
  spec.descriptors = {{pipe.first.get(), 7}, {pipe.second.get(), 3}};
  EXPECT_EQ(output_of(spec), "0 1 2 3 7 ");
  ::close(leaky);
}

// A sandbox may know nothing of close_range().
void refuse_close_range() {
  std::array<sock_filter, 4> filter{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  sock_fprog program{filter.size(), filter.data()};
  ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
  ASSERT_EQ(::syscall(SYS_close_range, ~0U, ~0U, 0), -1);
}

TEST(Spawn, OnlyTheNamedDescriptorsAreInheritedWithoutCloseRange) {
  in_a_child([] {
    refuse_close_range();
    const FdPair pipe = make_pipe();
    for (int i = 0; i < 300; ++i) ::fcntl(pipe.first.get(), F_DUPFD, 100);
    ProcessSpec spec = probe({"descriptors"});
    spec.descriptors = {{pipe.first.get(), 7}};
    EXPECT_EQ(output_of(spec), "0 1 2 7 ");
  });
}

TEST(Spawn, DescriptorsMayChangePlaces) {
  const Fd one = make_sealed_memfd("one", "one\n");
  const Fd two = make_sealed_memfd("two", "two\n");
  ProcessSpec spec = shell("cat /proc/self/fd/" + std::to_string(one.get()) + " /proc/self/fd/" +
                           std::to_string(two.get()) + " <&-");
  spec.descriptors = {{one.get(), two.get()}, {two.get(), one.get()}};
  EXPECT_EQ(output_of(spec), "two\none\n");
}

TEST(Spawn, ADescriptorMayKeepItsNumber) {
  const Fd text = make_sealed_memfd("text", "text\n");
  ProcessSpec spec = shell("cat /proc/self/fd/" + std::to_string(text.get()));
  spec.descriptors = {{text.get(), text.get()}};
  EXPECT_EQ(output_of(spec), "text\n");
}

TEST(Spawn, IgnoredAndBlockedSignalsStayWithTheParent) {
  in_a_child([] {
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGTERM, SIG_IGN);
    sigset_t blocked;
    ::sigfillset(&blocked);
    ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
    ProcessSpec spec{.executable = "/bin/grep", .arguments = {"-E", "SigBlk|SigIgn", "/proc/self/status"}};
    EXPECT_EQ(output_of(spec), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");

    sigset_t after;
    ::sigprocmask(SIG_SETMASK, nullptr, &after);
    EXPECT_TRUE(::sigismember(&after, SIGTERM));
  });
}

TEST(Spawn, AnIgnoredSigchldLosesNoExitStatus) {
  in_a_child([] {
    ::signal(SIGCHLD, SIG_IGN);
    EXPECT_EQ(Process::spawn(shell("exit 4")).reap().code, 4);
  });
}

TEST(Spawn, ManyTimesLeavesNothingOpen) {
  const auto count_descriptors = [] {
    const std::filesystem::directory_iterator open("/proc/self/fd");
    return std::distance(begin(open), end(open));
  };
  const auto before = count_descriptors();
  for (int i = 0; i < 50; ++i) {
    Process::spawn({.executable = "/bin/true"}).reap();
    EXPECT_THROW(Process::spawn({.executable = "./no-such-program"}), SpawnError);
  }
  EXPECT_EQ(count_descriptors(), before);
  EXPECT_THAT(children_of(::getpid()), testing::IsEmpty());
}

}  // namespace
}  // namespace postpone::sys
