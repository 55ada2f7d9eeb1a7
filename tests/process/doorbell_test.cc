// Doorbells between processes: the waiter is this process or a forked copy of it, ringers are others.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

#include "board/board.h"
#include "sys/process.h"
#include "tests/support/signals.h"

namespace postpone::board {
namespace {

using namespace std::chrono_literals;

constexpr auto kGenerous = 30s;

class DoorbellTest : public testing::Test {
 protected:
  DoorbellTest() : board_(Board::create(2, 1)) {
    board_.reset_slot(0, 0);
    board_.reset_slot(1, 0);
  }

  Doorbell& bell() { return board_.slot(0).doorbell; }
  Doorbell& other_bell() { return board_.slot(1).doorbell; }

  // A forked copy of this process that ends with what `story` returns.
  static pid_t fork_to(const std::function<bool()>& story) {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(story() ? 0 : 1);
    return pid;
  }
  static int status_of(pid_t pid) {
    int status = -1;
    ::waitpid(pid, &status, 0);
    return status;
  }

  Board board_;
};

TEST_F(DoorbellTest, RungManyTimesItCountsOnce) {
  for (int i = 0; i < 3; ++i) bell().ring(kRungForWork);
  EXPECT_TRUE(bell().wait(0ns));
  EXPECT_EQ(bell().answer(), kRungForWork);
  EXPECT_FALSE(bell().wait(1ms));
  EXPECT_EQ(bell().answer(), 0U);
}

TEST_F(DoorbellTest, AllReasonsAreKept) {
  bell().ring(kRungForWork);
  bell().ring(kRungForCommand);
  EXPECT_TRUE(bell().is_rung_for(kRungForCommand));
  EXPECT_FALSE(bell().is_rung_for(kRungForPermit));
  EXPECT_EQ(bell().answer(), kRungForWork | kRungForCommand);
  EXPECT_FALSE(bell().is_rung());
}

TEST_F(DoorbellTest, WaitingDoesNotAnswer) {
  bell().ring(kRungForWork);
  EXPECT_TRUE(bell().wait(kGenerous));
  EXPECT_TRUE(bell().wait(kGenerous));
}

TEST_F(DoorbellTest, AnUnansweredWaitLeavesNoTokenForTheNextRound) {
  for (int i = 0; i < 100; ++i) {
    bell().ring(kRungForWork);
    EXPECT_TRUE(bell().wait(0ns));
    bell().answer();
  }
  EXPECT_FALSE(bell().wait(1ms));
}

TEST_F(DoorbellTest, AWaitLastsItsLimit) {
  const auto begin = Clock::now();
  EXPECT_FALSE(bell().wait(20ms));
  EXPECT_GE(Clock::now() - begin, 20ms);
  EXPECT_FALSE(bell().wait(-1ns));
}

TEST_F(DoorbellTest, ForEverIsALimitToo) {
  const pid_t ringer = fork_to([this] {
    bell().ring(kRungForWork);
    return true;
  });
  EXPECT_TRUE(bell().wait(std::chrono::nanoseconds::max()));
  EXPECT_EQ(status_of(ringer), 0);
}

TEST_F(DoorbellTest, IsHeardFromAnotherProgram) {
  sys::ProcessSpec spec{.executable = POSTPONE_PROBE, .arguments = {"ring", "9", "0"}};
  spec.descriptors = {{board_.fd(), 9}};
  sys::Process ringer = sys::Process::spawn(spec);
  EXPECT_TRUE(bell().wait(kGenerous));
  EXPECT_EQ(ringer.reap().code, 0);
}

// Each waits for the other, so that one lost ring ends the game. The numbers prove that who was rung sees
// what was done before the ring.
TEST_F(DoorbellTest, PingPongLosesNoRing) {
  constexpr std::int64_t kRounds = 100'000;
  const auto play = [](Doorbell& mine, Doorbell& theirs, std::atomic<std::int64_t>& ball, bool first) {
    for (std::int64_t round = first ? 0 : 1; round < kRounds; round += 2) {
      while (ball.load(std::memory_order_relaxed) != round) {
        if (!mine.wait(kGenerous)) return false;
        mine.answer();
      }
      ball.store(round + 1, std::memory_order_relaxed);
      theirs.ring(kRungForWork);
    }
    return true;
  };
  std::atomic<std::int64_t>& ball = board_.slot(0).lease;
  const pid_t opponent = fork_to([&] { return play(other_bell(), bell(), ball, false); });
  EXPECT_TRUE(play(bell(), other_bell(), ball, true));
  EXPECT_EQ(status_of(opponent), 0);
}

// The ringer does not wait for anybody: its rings fall before, between and after answer() and wait().
TEST_F(DoorbellTest, ARingBetweenAnswerAndWaitIsNotLost) {
  constexpr std::int64_t kRings = 200'000;
  std::atomic<std::int64_t>& work = board_.slot(0).lease;
  const pid_t ringer = fork_to([&] {
    for (std::int64_t i = 1; i <= kRings; ++i) {
      work.store(i, std::memory_order_relaxed);
      bell().ring(kRungForWork);
    }
    return true;
  });
  std::int64_t seen = 0;
  while (seen < kRings) {
    bell().answer();
    const std::int64_t found = work.load(std::memory_order_relaxed);
    if (found != seen) {
      seen = found;
      continue;
    }
    ASSERT_TRUE(bell().wait(kGenerous)) << "after " << seen;
  }
  EXPECT_EQ(status_of(ringer), 0);
}

TEST_F(DoorbellTest, ASignalEndsTheWait) {
  const pid_t waiter = fork_to([this] {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    ::sigaction(SIGUSR1, &action, nullptr);
    other_bell().ring(kRungForWork);
    return !bell().wait(kGenerous * 10);
  });
  ASSERT_TRUE(other_bell().wait(kGenerous));
  // Again and again: one that arrives before the wait has begun is no signal to the wait.
  int status = -1;
  while (::waitpid(waiter, &status, WNOHANG) == 0) {
    tests::send_signal(waiter, SIGUSR1);
    ::usleep(1000);
  }
  EXPECT_EQ(status, 0);
}

Doorbell* own_bell = nullptr;

TEST_F(DoorbellTest, MayBeRungByASignalHandlerOfTheWaiter) {
  const pid_t waiter = fork_to([this] {
    own_bell = &bell();
    struct sigaction action {};
    action.sa_handler = [](int) { own_bell->ring(kRungForCommand); };
    ::sigaction(SIGUSR1, &action, nullptr);
    other_bell().ring(kRungForWork);
    return bell().wait(kGenerous) && bell().answer() == kRungForCommand;
  });
  ASSERT_TRUE(other_bell().wait(kGenerous));
  tests::send_signal(waiter, SIGUSR1);
  EXPECT_EQ(status_of(waiter), 0);
}

TEST_F(DoorbellTest, SurvivesRingersThatAreKilledAnywhere) {
  for (int i = 0; i < 100; ++i) {
    const pid_t ringer = fork_to([this] {
      for (;;) bell().ring(kRungForWork);
      return true;
    });
    for (int answers = 0; answers < 200; ++answers) {
      ASSERT_TRUE(bell().wait(kGenerous));
      bell().answer();
    }
    tests::send_signal(ringer, SIGKILL);
    status_of(ringer);
    bell().answer();
    EXPECT_FALSE(bell().is_rung());
    bell().ring(kRungForWork);
    ASSERT_TRUE(bell().wait(kGenerous));
  }
}

TEST_F(DoorbellTest, OutlivesAWaiterThatIsKilled) {
  const pid_t waiter = fork_to([this] {
    other_bell().ring(kRungForWork);
    return bell().wait(kGenerous * 10);
  });
  ASSERT_TRUE(other_bell().wait(kGenerous));
  tests::send_signal(waiter, SIGKILL);
  status_of(waiter);
  board_.reset_slot(0, 0);
  const pid_t next = fork_to([this] { return bell().wait(kGenerous); });
  bell().ring(kRungForWork);
  EXPECT_EQ(status_of(next), 0);
}

}  // namespace
}  // namespace postpone::board
