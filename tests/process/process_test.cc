#include "sys/process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <iterator>
#include <optional>
#include <system_error>

#include "sys/oom.h"

namespace postpone::sys {
namespace {

using namespace std::chrono_literals;

constexpr auto kGenerous = 30s;
constexpr std::size_t kPlenty = 1 << 20;

ProcessSpec shell(const std::string& script) {
  return {.executable = "/bin/sh", .arguments = {"-c", script}};
}
ProcessSpec probe(std::vector<std::string> arguments) {
  return {.executable = POSTPONE_PROBE, .arguments = std::move(arguments)};
}

std::string output_of(const ProcessSpec& spec) {
  const Captured captured = run_and_capture(spec, kGenerous, kPlenty);
  EXPECT_EQ(captured.problem, "") << captured.diagnostics;
  return captured.output;
}

// Runs `story` in a forked copy of this process, so that it may change what a process cannot change back.
void in_a_child(const std::function<void()>& story) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    story();
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
}

std::string read_line(int fd) {
  std::string line;
  char c = 0;
  while (::read(fd, &c, 1) == 1 && c != '\n') line += c;
  return line;
}

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
