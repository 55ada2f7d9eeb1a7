#include "subworker/worker/fence.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <thread>

#include "board/board.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

// The kernel's part, in a child that stands for a sub-worker: it dies halfway between fence_after and
// stalled_after, unless it stands down.
TEST(AFence, LetsTheKernelKillWhatItGuards) {
  constexpr std::int64_t kLease = 7;
  const board::Board board = board::Board::create(1, 1);
  board::Slot& slot = board.slot(0);
  slot.lease.store(kLease);
  config::Supervisor config;
  config.fence_after = 1s;
  config.stalled_after = 3s;
  const auto child = [&](bool stands_down) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      Fence fence(slot, config, true);
      fence.guard(board::boot_ns() - std::chrono::nanoseconds(1950ms).count());  // of the two seconds
      if (!stands_down) ::pause();  // for the kernel, however late it comes
      fence.stand_down();
      std::this_thread::sleep_for(300ms);  // past the end of its time: nothing comes
      std::_Exit(0);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    return status;
  };
  const int guarded = child(false);
  ASSERT_TRUE(WIFSIGNALED(guarded));
  EXPECT_EQ(WTERMSIG(guarded), SIGKILL);
  EXPECT_EQ(child(true), 0);
}

}  // namespace
}  // namespace postpone::subworker
