#include "board/wake.h"

#include <gmock/gmock.h>

#include <array>
#include <string>
#include <vector>

namespace postpone::board {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::array<GroupId, 1> kKitchen{0};
constexpr std::array<GroupId, 1> kOffice{1};
constexpr std::array<GroupId, 2> kBoth{0, 1};

SlotView kitchen(std::uint32_t slot, SlotState state, std::int64_t since_ns = 0) {
  return {.slot = slot, .group = kKitchen[0], .state = state, .since_ns = since_ns};
}
SlotView office(std::uint32_t slot, SlotState state, std::int64_t since_ns = 0) {
  return {.slot = slot, .group = kOffice[0], .state = state, .since_ns = since_ns};
}
SlotView rung(SlotView view) {
  view.rung = true;
  return view;
}

TEST(Wake, MostRecentlyIdleGoesFirst) {
  const std::vector<SlotView> slots{kitchen(0, SlotState::idle, 10), kitchen(1, SlotState::idle, 30),
                                    kitchen(2, SlotState::idle, 20)};
  EXPECT_THAT(choose(slots, kKitchen, 1), ElementsAre(1));
  EXPECT_THAT(choose(slots, kKitchen, 2), ElementsAre(1, 2));
  EXPECT_THAT(choose(slots, kKitchen, 3), ElementsAre(1, 2, 0));
}

// A newcomer is idle last, and its first job would wait for the server's plans.
TEST(Wake, AWarmConnectionGoesBeforeANewcomer) {
  std::vector<SlotView> slots{kitchen(0, SlotState::idle, 10), kitchen(1, SlotState::idle, 30),
                              kitchen(2, SlotState::idle, 20)};
  slots[0].warm = slots[2].warm = true;
  EXPECT_THAT(choose(slots, kKitchen, 1), ElementsAre(2));
  EXPECT_THAT(choose(slots, kKitchen, 3), ElementsAre(2, 0, 1));
}

TEST(Wake, NoMoreAreWokenThanThereAreJobs) {
  std::vector<SlotView> slots;
  for (std::uint32_t i = 0; i < 100; ++i) slots.push_back(kitchen(i, SlotState::idle, i));
  EXPECT_EQ(choose(slots, kKitchen, 7).size(), 7U);
  EXPECT_THAT(choose(slots, kKitchen, 0), IsEmpty());
}

TEST(Wake, MoreJobsThanSlotsWakeAllOfThem) {
  EXPECT_THAT(choose(std::vector{kitchen(0, SlotState::idle)}, kKitchen, 1'000'000), ElementsAre(0));
  EXPECT_THAT(choose(std::vector<SlotView>{}, kKitchen, 5), IsEmpty());
}

TEST(Wake, AGroupIsWokenByItsNumber) {
  Board board = Board::create(2, 2);
  const GroupId kitchen = group_id("kitchen");
  for (const std::uint32_t slot : {0U, 1U}) {
    board.reset_slot(slot, slot == 0 ? kitchen : group_id("office"));
    board.slot(slot).enter(SlotState::idle);
  }
  wake_group(board, kitchen, 2);
  EXPECT_TRUE(board.slot(0).doorbell.is_rung_for(kRungForWork));
  EXPECT_FALSE(board.slot(1).doorbell.is_rung());
}

TEST(Wake, WhoIsRungAlreadyIsPassedOver) {
  const std::vector<SlotView> slots{kitchen(0, SlotState::idle, 10), rung(kitchen(1, SlotState::idle, 30)),
                                    rung(kitchen(2, SlotState::looking))};
  EXPECT_THAT(choose(slots, kKitchen, 5), ElementsAre(0));
}

TEST(Wake, WhoIsLookingIsRungOnlyWhenTheIdleDoNotSuffice) {
  const std::vector<SlotView> slots{kitchen(0, SlotState::looking), kitchen(1, SlotState::idle),
                                    kitchen(2, SlotState::starting)};
  EXPECT_THAT(choose(slots, kKitchen, 1), ElementsAre(1));
  EXPECT_THAT(choose(slots, kKitchen, 2), ElementsAre(1, 0, 2));
}

TEST(Wake, EveryoneWhoIsLookingIsRungBecauseAnyLookMayHaveMissedTheJob) {
  const std::vector<SlotView> slots{kitchen(0, SlotState::looking), kitchen(1, SlotState::looking),
                                    kitchen(2, SlotState::looking)};
  EXPECT_THAT(choose(slots, kKitchen, 1), ElementsAre(0, 1, 2));
}

TEST(Wake, TheBusyAndTheLeavingStayUntouched) {
  const std::vector<SlotView> slots{kitchen(0, SlotState::running), kitchen(1, SlotState::stopping),
                                    kitchen(2, SlotState::vacant), kitchen(3, SlotState::waiting_for_permit)};
  EXPECT_THAT(choose(slots, kKitchen, 4), IsEmpty());
}

TEST(Wake, WhoWasToldToLeaveWouldSwallowTheRing) {
  const Board board = [] {
    Board made = Board::create(2, 2);
    for (std::uint32_t slot = 0; slot < 2; ++slot) made.reset_slot(slot, group_id("kitchen"));
    return made;
  }();
  board.slot(0).enter(SlotState::idle);
  board.slot(1).enter(SlotState::idle);
  board.slot(1).since_ns.store(board.slot(0).since_ns.load() + 1);
  board.slot(1).command.store(Command::leave);
  wake(board, std::vector<std::string>{"office", "kitchen"}, 1);
  EXPECT_TRUE(board.slot(0).doorbell.is_rung());
  EXPECT_FALSE(board.slot(1).doorbell.is_rung());
}

TEST(Wake, OtherGroupsSleepOn) {
  const std::vector<SlotView> slots{kitchen(0, SlotState::idle, 10), office(1, SlotState::idle, 30),
                                    office(2, SlotState::looking), office(3, SlotState::idle, 20)};
  EXPECT_THAT(choose(slots, kKitchen, 4), ElementsAre(0));
  EXPECT_THAT(choose(slots, kOffice, 2), ElementsAre(1, 3));
  EXPECT_THAT(choose(slots, std::span<const GroupId>(), 4), IsEmpty());
}

TEST(Wake, GroupsOfTheSameQueueShareTheJobsByRecencyAlone) {
  const std::vector<SlotView> slots{kitchen(0, SlotState::idle, 10), office(1, SlotState::idle, 30),
                                    kitchen(2, SlotState::idle, 20)};
  EXPECT_THAT(choose(slots, kBoth, 2), ElementsAre(1, 2));
}

TEST(Wake, WhoRunsNothingSharesWhatWaits) {
  const std::vector<SlotView> slots{
      kitchen(0, SlotState::idle),     rung(kitchen(1, SlotState::idle)),
      kitchen(2, SlotState::looking),  kitchen(3, SlotState::waiting_for_permit),
      kitchen(4, SlotState::running),  kitchen(5, SlotState::starting),
      kitchen(6, SlotState::stopping), office(7, SlotState::idle)};
  EXPECT_EQ(count_sharers(slots, kKitchen[0]), 4);
  EXPECT_EQ(count_sharers(slots, kOffice[0]), 1);
  EXPECT_EQ(count_sharers({}, kKitchen[0]), 0);
}

TEST(Wake, WhoIsIdleOrLooksWithoutAJobIsFree) {
  Board board = Board::create(1, 1);
  board.reset_slot(0, kKitchen[0]);
  Slot& slot = board.slot(0);
  slot.enter(SlotState::idle);
  EXPECT_TRUE(is_anyone_free(board, kKitchen[0]));
  EXPECT_FALSE(is_anyone_free(board, kOffice[0]));
  slot.enter(SlotState::looking);
  EXPECT_TRUE(is_anyone_free(board, kKitchen[0]));
  slot.jobs_used.store(1);
  slot.jobs[0].phase.store(JobPhase::ended);
  EXPECT_FALSE(is_anyone_free(board, kKitchen[0])) << "it records what it has run";
  slot.jobs[0].phase.store(JobPhase::none);
  slot.enter(SlotState::running);
  EXPECT_FALSE(is_anyone_free(board, kKitchen[0]));
}

}  // namespace
}  // namespace postpone::board
