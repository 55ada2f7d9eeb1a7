// The task process of a sub-worker over time, by hand: no database, a real task executable.
#include "subworker/worker/task_keeper.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/support/eventually.h"
#include "tests/support/signals.h"

namespace postpone::tests {
namespace {

using namespace std::chrono_literals;

// A thread of this process that does nothing, for as long as it lives.
class IdleThread {
 public:
  IdleThread() : thread_([this] { wait(); }) {}
  ~IdleThread() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

 private:
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ended_; });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  std::thread thread_;
};

// While it lives this process can open no descriptor.
class NoDescriptors {
 public:
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int lowest_free = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::close(lowest_free);
    rlimit none = before_;
    none.rlim_cur = static_cast<rlim_t>(lowest_free);
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

class TheTaskKeeper : public testing::Test {
 protected:
  TheTaskKeeper() {
    group_.executable = POSTPONE_MISBEHAVE;
    keeper_.replace([] {});
  }

  config::Config config_;
  config::Group group_;
  board::Board board_ = board::Board::create(1, 1);
  subworker::Reporter reporter_{board_.header(), board_.slot(0), "q/0"};
  subworker::TaskKeeper keeper_{config_, group_, "", board::Ledger::create(), board_.slot(0), reporter_};
};

TEST_F(TheTaskKeeper, KeepsAProcessThatIsFit) {
  EXPECT_TRUE(keeper_.is_fit());
  EXPECT_EQ(board_.slot(0).task_pid.load(), keeper_.process().pid());
  EXPECT_NO_THROW(keeper_.sweep());
}

TEST_F(TheTaskKeeper, ReplacesAProcessThatHasDied) {
  const pid_t first = keeper_.process().pid();
  send_signal(first, SIGKILL);
  ASSERT_TRUE(eventually([&] { return keeper_.process().has_ended(); }));
  EXPECT_FALSE(keeper_.is_fit());
  keeper_.replace([] {});
  EXPECT_TRUE(keeper_.is_fit());
  EXPECT_NE(keeper_.process().pid(), first);
}

// Else every other fetch would take two jobs, and give one back.
TEST_F(TheTaskKeeper, ExpectsAnotherJobThatWantsAProcessForItself) {
  EXPECT_GT(keeper_.jobs_left(), 1);
  libtask::wire::TaskDescription task;
  task.fresh_process = true;
  keeper_.ran(task);
  EXPECT_FALSE(keeper_.is_fit());
  keeper_.replace([] {});
  EXPECT_EQ(keeper_.jobs_left(), 1);
  keeper_.ran({});
  EXPECT_TRUE(keeper_.is_fit());
  EXPECT_GT(keeper_.jobs_left(), 1);
}

// What a job has left behind, and what cannot be killed or seen, would count as a helper of the next task
// process.
TEST_F(TheTaskKeeper, StartsNoProcessBesideWhatItCannotKillWhileIdle) {
  const IdleThread thread;  // with one thread, the descriptors that are open already are enough for a look
  {
    const NoDescriptors none;
    EXPECT_THROW(keeper_.sweep(), subworker::LeftBehind);
  }
  EXPECT_THROW(keeper_.replace([] {}), subworker::LeftBehind) << "though it could be seen now";
}

}  // namespace
}  // namespace postpone::tests
