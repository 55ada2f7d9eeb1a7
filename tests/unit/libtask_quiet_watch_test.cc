// What the kernel tells of a job that makes no system call, and what a job notices that makes some.
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/single_threaded.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <thread>

#include "libtask/src/quiet_watch.h"

namespace libtask::detail {
namespace {

// Does this kernel tell, on this processor, and may it be asked?
bool kernel_tells() {
#if defined(__x86_64__) && defined(PR_SET_SYSCALL_USER_DISPATCH) && !defined(__SANITIZE_THREAD__)
  char selector = 0;
  return prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &selector) == 0 &&
         prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, nullptr) == 0;
#else
  return false;
#endif
}

volatile int g_count = 0;
void count() {
  g_count = 1;
}

class WatchedJob : public testing::Test {
 protected:
  void SetUp() override {
    if (!kernel_tells()) GTEST_SKIP() << "the kernel does not tell of system calls";
    if (__libc_single_threaded == 0) GTEST_SKIP() << "another test has left the process with several threads";
  }
  void TearDown() override { std::signal(SIGSYS, SIG_DFL); }

  template <class Job>
  bool is_quiet(Job job) {
    watch_.begin();
    job();
    return watch_.end();
  }

  QuietWatch watch_;
};

TEST_F(WatchedJob, IsQuietAsLongAsItMakesNoSystemCall) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(is_quiet(count)) << i;
  EXPECT_FALSE(is_quiet([] { getppid(); }));
}

TEST_F(WatchedJob, GetsWhatItAskedTheKernelFor) {
  const pid_t parent = getppid();
  pid_t answer = 0;
  long refusal = 0;
  EXPECT_FALSE(is_quiet([&] {
    errno = 17;
    answer = getppid();
    EXPECT_EQ(errno, 17);
    refusal = syscall(SYS_close, -1);
    EXPECT_EQ(errno, EBADF);
  }));
  EXPECT_EQ(answer, parent);
  EXPECT_EQ(refusal, -1);
}

TEST_F(WatchedJob, IsInterruptedLessOftenWhereNoneWasQuiet) {
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(is_quiet([] { getppid(); }));
  int unwatched = 0;
  while (unwatched < 100 && !is_quiet(count)) ++unwatched;
  EXPECT_GT(unwatched, 1);
  EXPECT_LT(unwatched, 64) << "but now and then";
  EXPECT_TRUE(is_quiet(count));
}

TEST_F(WatchedJob, MayBeQuietAgainAfterOneThatWasNot) {
  EXPECT_FALSE(is_quiet([] { getppid(); }));
  EXPECT_FALSE(is_quiet(count)) << "this one is not watched";
  EXPECT_TRUE(is_quiet(count));
  EXPECT_TRUE(is_quiet(count));
}

TEST_F(WatchedJob, MayCatchASignal) {
  static volatile std::sig_atomic_t caught = 0;
  std::signal(SIGUSR1, [](int) { caught = 1; });
  EXPECT_FALSE(is_quiet([] { std::raise(SIGUSR1); }));
  EXPECT_EQ(caught, 1);
  std::signal(SIGUSR1, SIG_DFL);
}

TEST_F(WatchedJob, IsNotQuietIfTheProgramHasTheSignalForItself) {
  std::signal(SIGSYS, [](int) {});
  EXPECT_FALSE(is_quiet(count));
  EXPECT_FALSE(is_quiet([] { getppid(); }));
}

TEST_F(WatchedJob, MayTakeTheSignalAwayFromTheWatch) {
  EXPECT_FALSE(is_quiet([] { std::signal(SIGSYS, SIG_IGN); }));
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(is_quiet(count)) << i;
}

TEST_F(WatchedJob, OfAPausedWatchIsWatchedAllTheSame) {
  EXPECT_TRUE(is_quiet(count));
  watch_.pause();
  EXPECT_GT(getppid(), 0);
  EXPECT_TRUE(is_quiet(count));
  EXPECT_FALSE(is_quiet([] { getppid(); }));
}

TEST(WatchedJobDeath, DiesOfTheSignalThatSomebodyElseSends) {
  if (!kernel_tells()) GTEST_SKIP() << "the kernel does not tell of system calls";
  EXPECT_EXIT(
      {
        QuietWatch watch;
        watch.begin();
        std::raise(SIGSYS);
      },
      testing::KilledBySignal(SIGSYS), "");
}

// The last one: glibc does not take it back.
TEST_F(WatchedJob, ZIsNeverQuietOnceThereIsAnotherThread) {
  std::thread([] {}).join();
  EXPECT_FALSE(is_quiet(count));
}

}  // namespace
}  // namespace libtask::detail
