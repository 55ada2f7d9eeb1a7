// Permits among processes that may be killed.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <optional>
#include <vector>

#include "board/board.h"
#include "tests/support/signals.h"

namespace postpone::board {
namespace {

using namespace std::chrono_literals;

constexpr auto kGenerous = 30s;
constexpr std::uint32_t kSlots = 4;
constexpr std::uint32_t kPermits = 2;

class PermitTest : public testing::Test {
 protected:
  PermitTest() : board_(Board::create(kSlots, kPermits)) {
    for (std::uint32_t slot = 0; slot < kSlots; ++slot) board_.reset_slot(slot, 0);
  }

  Slot& slot(std::uint32_t index) { return board_.slot(index); }
  std::optional<Permit> take(std::uint32_t slot, std::uint32_t generation = 1) {
    return Permit::try_take(board_, slot, generation);
  }

  static pid_t fork_to(const std::function<bool()>& story) {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(story() ? 0 : 1);
    return pid;
  }

  Board board_;
};

TEST_F(PermitTest, AreTakenUntilNoneIsLeft) {
  const auto first = take(0);
  auto second = take(1);
  EXPECT_TRUE(first);
  EXPECT_TRUE(second);
  EXPECT_FALSE(take(2));
  EXPECT_EQ(slot(1).holds_permit, 1U);
  second.reset();
  EXPECT_EQ(slot(1).holds_permit, 0U);
  EXPECT_TRUE(take(2));
}

TEST_F(PermitTest, MovingKeepsExactlyOne) {
  auto first = take(0);
  Permit moved = std::move(*first);
  first.reset();
  auto second = take(1);
  EXPECT_FALSE(take(2));
  moved = std::move(*second);
  second.reset();
  EXPECT_TRUE(take(2));
}

TEST_F(PermitTest, FewerMayBeAllowedWhileSomeAreHeld) {
  auto first = take(0);
  auto second = take(1);
  board_.header().permits = 1;
  EXPECT_FALSE(first->is_surplus());
  EXPECT_TRUE(second->is_surplus());
  slot(3).enter(SlotState::waiting_for_permit);
  ring_for_changed_permits(board_);
  EXPECT_FALSE(slot(0).doorbell.is_rung());
  EXPECT_TRUE(slot(1).doorbell.is_rung_for(kRungForPermit)) << "holds one too many";
  EXPECT_TRUE(slot(3).doorbell.is_rung_for(kRungForPermit)) << "waits for one";
  first.reset();
  EXPECT_TRUE(take(2));
  second.reset();
  board_.header().permits = 0;
  EXPECT_FALSE(take(2));
}

TEST_F(PermitTest, OneGivenBackRingsWhoWaitsLongest) {
  auto first = take(0);
  auto second = take(1);
  slot(3).enter(SlotState::waiting_for_permit);
  slot(3).since_ns = 100;
  slot(2).enter(SlotState::waiting_for_permit);
  slot(2).since_ns = 200;
  EXPECT_TRUE(someone_waits_for_permit(board_));
  first.reset();
  EXPECT_TRUE(slot(3).doorbell.is_rung_for(kRungForPermit));
  EXPECT_FALSE(slot(2).doorbell.is_rung());
  second.reset();
  EXPECT_TRUE(slot(2).doorbell.is_rung_for(kRungForPermit));
}

TEST_F(PermitTest, AWaiterThatIsRungForWorkIsRungForThePermitToo) {
  auto first = take(0);
  slot(3).enter(SlotState::waiting_for_permit);
  slot(3).doorbell.ring(kRungForWork);
  first.reset();
  EXPECT_EQ(slot(3).doorbell.answer(), kRungForWork | kRungForPermit);
}

TEST_F(PermitTest, WhoeverWaitsAsksTheIdleHolder) {
  const auto first = take(0);
  const auto second = take(1);
  slot(0).enter(SlotState::running);
  slot(1).enter(SlotState::idle);
  slot(2).enter(SlotState::idle);
  ask_idle_holder_for_permit(board_);
  EXPECT_FALSE(slot(0).doorbell.is_rung());
  EXPECT_TRUE(slot(1).doorbell.is_rung_for(kRungForPermit));
  EXPECT_FALSE(slot(2).doorbell.is_rung());
  EXPECT_FALSE(someone_waits_for_permit(board_));
}

TEST_F(PermitTest, ReclaimingTakesFromOneIncarnationOnly) {
  auto of_the_dead = take(0, 1);
  const auto of_the_living = take(0, 2);
  slot(3).enter(SlotState::waiting_for_permit);
  EXPECT_EQ(reclaim_permits(board_, 0, 1), 1);
  EXPECT_TRUE(slot(3).doorbell.is_rung_for(kRungForPermit));
  EXPECT_EQ(reclaim_permits(board_, 0, 1), 0);

  // A late word from the dead frees nothing that is another's by now.
  const auto next = take(1);
  EXPECT_TRUE(next);
  of_the_dead.reset();
  EXPECT_FALSE(take(2));
}

TEST_F(PermitTest, AKilledHolderLosesItsPermit) {
  const pid_t holder = fork_to([this] {
    const auto first = take(0);
    const auto second = take(0);
    slot(1).doorbell.ring(kRungForWork);
    return slot(0).doorbell.wait(kGenerous * 10);
  });
  ASSERT_TRUE(slot(1).doorbell.wait(kGenerous));
  EXPECT_FALSE(take(1));
  tests::send_signal(holder, SIGKILL);
  ::waitpid(holder, nullptr, 0);
  EXPECT_EQ(reclaim_permits(board_, 0, 1), 2);
  EXPECT_TRUE(take(1));
}

// What a sub-worker does to get a permit. False when nobody rang for it in a long time.
bool wait_for_permit(const Board& board, std::uint32_t index, std::optional<Permit>& permit) {
  Slot& slot = board.slot(index);
  while (!(permit = Permit::try_take(board, index, 1))) {
    slot.enter(SlotState::waiting_for_permit);
    if ((permit = Permit::try_take(board, index, 1))) break;
    if (!slot.doorbell.wait(kGenerous)) return false;
    slot.doorbell.answer();
  }
  slot.enter(SlotState::running);
  return true;
}

// Nobody polls here: one wake-up lost between the last look and the wait would leave a waiter to its limit.
TEST_F(PermitTest, NobodySleepsWhileAPermitIsFree) {
  constexpr int kRounds = 5000;
  std::atomic<std::int64_t>& holders = slot(0).lease;
  std::vector<pid_t> workers;
  for (std::uint32_t index = 0; index < kSlots; ++index) {
    workers.push_back(fork_to([this, &holders, index] {
      for (int round = 0; round < kRounds; ++round) {
        std::optional<Permit> permit;
        if (!wait_for_permit(board_, index, permit)) return false;
        if (holders.fetch_add(1) >= kPermits) return false;
        holders.fetch_sub(1);
      }
      return true;
    }));
  }
  for (const pid_t worker : workers) {
    int status = -1;
    ::waitpid(worker, &status, 0);
    EXPECT_EQ(status, 0);
  }
}

}  // namespace
}  // namespace postpone::board
