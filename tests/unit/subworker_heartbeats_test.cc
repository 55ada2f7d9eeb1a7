#include "subworker/housekeeper/heartbeats.h"
#include "tests/unit/start_time.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

// Three slots with the leases 1, 2 and 3; a heartbeat every ten seconds.
class TheHeartbeats : public testing::Test {
 protected:
  TheHeartbeats() {
    config_.heartbeat_interval = 10s;
    config_.fence_after = 30s;
    for (std::uint32_t i = 0; i < 3; ++i) {
      board_.reset_slot(i, 0);
      slot(i).lease.store(i + 1);
      slot(i).beat();
    }
  }
  board::Slot& slot(std::uint32_t index) { return board_.slot(index); }

  board::Board board_ = board::Board::create(3, 1);
  config::Supervisor config_;
  Heartbeats heartbeats_{config_, board_};
};

TEST_F(TheHeartbeats, AreOfAllLeasesThatAreNotLost) {
  slot(1).lost_lease.store(2);
  slot(2).lost_lease.store(99);  // of a lease before
  EXPECT_THAT(heartbeats_.leases(), ElementsAre(1, 3));
}

TEST_F(TheHeartbeats, ThatAreStoredMakeTheirLeasesGoodFromWhenTheyWereBegun) {
  const auto begun = board::boot_ns() - 1'000;
  EXPECT_EQ(heartbeats_.take({.stored = {1, 3}, .locked = {}, .gone = {}}, begun, kStart), kStart + 10s);
  EXPECT_EQ(slot(0).good_since(1), begun);
  EXPECT_EQ(slot(1).good_since(2), 0) << "it was registered since the statement began";
  EXPECT_EQ(slot(2).good_since(3), begun);
}

TEST_F(TheHeartbeats, RingASubWorkerThatMayHaveFoundItselfFenced) {
  slot(0).note_good_lease(1, board::boot_ns() - std::chrono::nanoseconds(31s).count());
  slot(1).note_good_lease(2, board::boot_ns() - std::chrono::nanoseconds(10s).count());
  heartbeats_.take({.stored = {1, 2, 3}, .locked = {}, .gone = {}}, board::boot_ns(), kStart);
  EXPECT_TRUE(slot(0).doorbell.is_rung_for(board::kRungForWork));
  EXPECT_FALSE(slot(1).doorbell.is_rung());
  EXPECT_TRUE(slot(2).doorbell.is_rung_for(board::kRungForWork))
      << "it is not known when that lease was taken";
}

TEST_F(TheHeartbeats, ReportALeaseThatIsGoneOnce) {
  heartbeats_.take({.stored = {}, .locked = {}, .gone = {2}}, board::boot_ns(), kStart);
  EXPECT_EQ(slot(1).lost_lease.load(), 2);
  EXPECT_EQ(slot(1).doorbell.answer(), board::kRungForWork) << "to take another";
  heartbeats_.take({.stored = {}, .locked = {}, .gone = {2}}, board::boot_ns(), kStart);
  EXPECT_FALSE(slot(1).doorbell.is_rung());
}

TEST_F(TheHeartbeats, ComeSoonerWhileARowIsLocked) {
  const sql::Heartbeats locked{.stored = {1}, .locked = {2}, .gone = {}};
  EXPECT_LE(heartbeats_.take(locked, board::boot_ns(), kStart), kStart + 100ms);
  EXPECT_EQ(slot(1).lost_lease.load(), 0);
  EXPECT_EQ(heartbeats_.take({.stored = {1, 2}, .locked = {}, .gone = {}}, board::boot_ns(), kStart),
            kStart + 10s);
}

TEST_F(TheHeartbeats, DisownASilentSubWorkerOnly) {
  slot(1).heartbeat_ns.store(board::now_ns() - std::chrono::nanoseconds(6s).count());
  heartbeats_.disown_silent();
  EXPECT_THAT(heartbeats_.leases(), ElementsAre(1, 3));
  EXPECT_EQ(slot(1).lost_lease.load(), 2) << "by which its fence goes up, if it lives after all";
}

}  // namespace
}  // namespace postpone::subworker
