#include "subworker/family/signals.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "board/board.h"
#include "board/family.h"

namespace postpone::subworker {
namespace {

// The exit of a process takes a while: destructors, the log, a leak checker.
TEST(TheSignalHandlers, LeaveTheBoardAloneOnceItIsGone) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    {
      const auto board = board::Board::create(1, 1);
      const SignalHandlers handlers(board.slot(0).doorbell, true);
      std::raise(SIGTERM);
    }
    std::raise(SIGTERM);
    std::raise(board::kSupervisorDeathSignal);
    std::raise(SIGUSR1);
    std::_Exit(requests_to_leave());
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  ASSERT_TRUE(WIFEXITED(status)) << "killed by signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 2) << "both are counted";
}

}  // namespace
}  // namespace postpone::subworker
