#include "subworker/worker/fence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <system_error>

#include "board/board.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kLease = 7;

// A slot whose owner holds kLease, registered so long ago, under a fence_after of a second.
class AFence : public testing::Test {
 protected:
  AFence() {
    config_.fence_after = 1s;
    config_.stalled_after = 3s;
    slot_.lease.store(kLease);
  }
  static std::int64_t ago(std::chrono::nanoseconds age) { return board::boot_ns() - age.count(); }

  board::Board board_ = board::Board::create(1, 1);
  board::Slot& slot_ = board_.slot(0);
  config::Supervisor config_;
};

TEST_F(AFence, IsUpForALeaseThatIsNotHeardOf) {
  const Fence fence(slot_, config_, true);
  EXPECT_FALSE(fence.is_up(ago(500ms)));
  EXPECT_TRUE(fence.is_up(ago(1500ms)));
}

TEST_F(AFence, ComesDownWithAHeartbeatOfThisLease) {
  const Fence fence(slot_, config_, true);
  slot_.note_good_lease(kLease, ago(500ms));
  EXPECT_FALSE(fence.is_up(ago(1500ms)));
}

// The housekeeper reads which leases there are and beats for those; a lease that comes to the board in
// between was not in that heartbeat, and the database has heard of it at its registration only.
TEST_F(AFence, TakesNoHeartbeatOfOtherLeasesForItsOwn) {
  const Fence fence(slot_, config_, true);
  slot_.note_good_lease(kLease - 1, ago(0ms));
  EXPECT_TRUE(fence.is_up(ago(1500ms)));
}

TEST_F(AFence, IsUpAtOnceWhenTheLeaseIsKnownToBeLost) {
  const Fence fence(slot_, config_, true);
  slot_.note_good_lease(kLease, ago(0ms));
  slot_.lost_lease.store(kLease);
  EXPECT_TRUE(fence.is_up(ago(0ms)));
}

TEST_F(AFence, IsDownForASubWorkerByHandAndWithoutALease) {
  const Fence by_hand(slot_, config_, false);
  EXPECT_FALSE(by_hand.is_up(ago(1h)));
  slot_.lease.store(0);
  const Fence fence(slot_, config_, true);
  EXPECT_FALSE(fence.is_up(ago(1h)));
}

TEST_F(AFence, ThatIsUpForALostLeaseComesDownWithAnother) {
  const Fence fence(slot_, config_, true);
  slot_.lost_lease.store(kLease);
  EXPECT_TRUE(fence.lease_is_lost());
  slot_.lease.store(kLease + 1);
  EXPECT_FALSE(fence.lease_is_lost());
  EXPECT_FALSE(fence.is_up(ago(0ms)));
}

TEST_F(AFence, WithoutATimerNamesTheLimit) {
  rlimit before{};
  ::getrlimit(RLIMIT_SIGPENDING, &before);
  rlimit none = before;
  none.rlim_cur = 0;
  ::setrlimit(RLIMIT_SIGPENDING, &none);
  try {
    const Fence fence(slot_, config_, true);
    ADD_FAILURE() << "there was a timer to be had";
  } catch (const std::system_error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("RLIMIT_SIGPENDING"));
  }
  ::setrlimit(RLIMIT_SIGPENDING, &before);
}

TEST(SlotsGoodLease, IsForgottenWithAnotherLease) {
  const auto board = board::Board::create(1, 1);
  board::Slot& slot = board.slot(0);
  slot.note_good_lease(1, 100);
  slot.note_good_lease(1, 200);
  EXPECT_EQ(slot.good_since(1), 200);
  slot.note_good_lease(2, 300);
  EXPECT_EQ(slot.good_since(1), 0);
  EXPECT_EQ(slot.good_since(2), 300);
}

}  // namespace
}  // namespace postpone::subworker
