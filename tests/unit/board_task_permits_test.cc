// Task permits: who gets one, who is rung when one is free, and what becomes of them when limits change or holders die.
#include "board/task_permits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace postpone::board {
namespace {

class TaskPermits : public testing::Test {
 protected:
  TaskPermits() {
    for (std::uint32_t slot = 0; slot < 6; ++slot) {
      board_.reset_slot(slot, group_id(slot < 4 ? "kitchen" : "bar"));
      idle(slot);
    }
    limit({{"wash", 2}});
  }

  void idle(std::uint32_t slot) { board_.slot(slot).enter(SlotState::idle); }
  void limit(const std::vector<LimitedTask>& tasks) { set_task_limits(board_, tasks); }
  std::uint32_t entry(const std::string& task = "wash") { return find_task_limit(board_, task).value(); }
  TaskLimit& of(const std::string& task = "wash") { return board_.task_limit(entry(task)); }
  std::optional<TaskPermit> take(std::uint32_t slot, const std::string& task = "wash") {
    return try_take_task_permit(board_, entry(task), {slot, 1});
  }
  void free(const std::optional<TaskPermit>& permit, std::uint32_t slot) {
    give_back(board_, permit.value(), {slot, 1});
  }
  void want(std::uint32_t slot, const std::string& task = "wash") {
    want_task(board_.slot(slot), entry(task), true);
  }
  // Who was rung since this was last asked.
  std::vector<std::uint32_t> rung() {
    std::vector<std::uint32_t> slots;
    for (std::uint32_t slot = 0; slot < 6; ++slot)
      if (board_.slot(slot).doorbell.answer() != 0) slots.push_back(slot);
    return slots;
  }

  Board board_ = Board::create(6, 6);
};

using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(TaskPermits, AreTakenUntilNoneIsLeft) {
  const auto first = take(0);
  EXPECT_FALSE(is_full(of()));
  const auto second = take(1);
  EXPECT_TRUE(first && second);
  EXPECT_TRUE(is_full(of()));
  EXPECT_FALSE(take(2));
  EXPECT_EQ(permits_held(of()), 2u);
  free(first, 0);
  EXPECT_FALSE(is_full(of()));
  EXPECT_TRUE(take(2));
}

TEST_F(TaskPermits, EachTaskHasItsOwn) {
  limit({{"wash", 2}, {"dry", 1}});
  EXPECT_TRUE(take(0, "dry"));
  EXPECT_FALSE(take(1, "dry"));
  EXPECT_TRUE(take(1));
  EXPECT_EQ(find_task_limit(board_, "polish"), std::nullopt);
}

TEST_F(TaskPermits, OneThatIsFreeRingsOneOfEachGroupThatWantsIt) {
  const auto permit = take(0);
  for (const std::uint32_t slot : {1U, 2U, 4U}) want(slot);
  board_.slot(2).since_ns = now_ns() + 1;
  free(permit, 0);
  EXPECT_THAT(rung(), ElementsAre(2, 4)) << "the most recently idle one of those who want it";
}

TEST_F(TaskPermits, WhoIsRungAlreadyLooksAnywayAndTheNextOneIsRung) {
  const auto first = take(0);
  const auto second = take(3);
  want(1);
  want(2);
  free(first, 0);
  free(second, 3);
  EXPECT_THAT(rung(), ElementsAre(1, 2));
}

TEST_F(TaskPermits, WhoLooksAtThisMomentIsRungIfNobodyIsIdle) {
  const auto permit = take(0);
  want(1);
  want(2);
  board_.slot(1).enter(SlotState::looking);
  board_.slot(2).enter(SlotState::running);
  free(permit, 0);
  EXPECT_THAT(rung(), ElementsAre(1)) << "it may have looked before";
}

TEST_F(TaskPermits, WhoWantsNothingMoreIsNotRung) {
  const auto permit = take(0);
  want(1);
  want_task(board_.slot(1), entry(), false);
  free(permit, 0);
  EXPECT_THAT(rung(), IsEmpty());
}

TEST_F(TaskPermits, OfADeadOneAreFreeWhenTheyAreReclaimed) {
  take(0);
  const auto of_a_sibling = take(1);
  want(2);
  EXPECT_EQ(reclaim_task_permits(board_, 0, 2), 0) << "another incarnation";
  EXPECT_EQ(reclaim_task_permits(board_, 0, 1), 1);
  EXPECT_THAT(rung(), ElementsAre(2));
  EXPECT_EQ(permits_held(of()), 1u);
  free(of_a_sibling, 1);
  EXPECT_EQ(permits_held(of()), 0u);
}

TEST_F(TaskPermits, ALateWordOfADeadOneTakesNothingFromItsSuccessor) {
  const auto permit = take(0);
  reclaim_task_permits(board_, 0, 1);
  const auto of_another = take(1);
  free(permit, 0);
  EXPECT_EQ(permits_held(of()), 1u);
  EXPECT_TRUE(of_another);
}

TEST_F(TaskPermits, WhoDiesWantingPassesOnTheRingThatItMayHaveHad) {
  want(1);
  want(2);
  board_.slot(1).doorbell.ring(kRungForWork);
  board_.slot(1).enter(SlotState::vacant);
  reclaim_task_permits(board_, 1, 1);
  EXPECT_THAT(rung(), ElementsAre(1, 2));
}

TEST_F(TaskPermits, ALowerLimitLetsNobodyInAsLongAsTooManyAreThere) {
  const auto first = take(0);
  const auto second = take(1);
  limit({{"wash", 1}});
  EXPECT_FALSE(is_surplus(board_, *first));
  EXPECT_TRUE(is_surplus(board_, *second));
  EXPECT_TRUE(is_overbooked(of()));
  free(first, 0);
  EXPECT_FALSE(is_overbooked(of()));
  EXPECT_TRUE(is_full(of())) << "its cell is free, but one job runs";
  EXPECT_FALSE(take(2));
  free(second, 1);
  EXPECT_TRUE(take(2));
  EXPECT_TRUE(is_full(of()));
}

TEST_F(TaskPermits, AHigherLimitRingsWhoeverWaits) {
  take(0);
  take(1);
  want(2);
  limit({{"wash", 3}});
  EXPECT_THAT(rung(), ElementsAre(2));
  EXPECT_TRUE(take(2));
  EXPECT_FALSE(take(3));
}

TEST_F(TaskPermits, JobsThatRunAlreadyCountWhenALimitComes) {
  limit({{"wash", 2}, {"dry", 1}});
  const TaskPermit first = take_task_permit_anyway(board_, entry("dry"), {0, 1});
  const TaskPermit second = take_task_permit_anyway(board_, entry("dry"), {1, 1});
  EXPECT_EQ(permits_held(of("dry")), 2u);
  give_back(board_, first, {0, 1});
  EXPECT_FALSE(take(2, "dry"));
  EXPECT_EQ(reclaim_task_permits(board_, 1, 1), 1) << "of the one beyond the limit, too";
  EXPECT_TRUE(take(2, "dry"));
  EXPECT_TRUE(is_surplus(board_, second));
}

TEST_F(TaskPermits, ATaskThatHasNoLimitAnyMoreHasRoomForAll) {
  const auto permit = take(0);
  limit({});
  EXPECT_EQ(limit_of(of()), 0u);
  EXPECT_FALSE(is_full(of()));
  EXPECT_FALSE(is_surplus(board_, *permit));
  limit({{"wash", 1}});
  EXPECT_FALSE(take(1)) << "who had one counts again";
}

TEST_F(TaskPermits, EntriesOfTasksWithoutALimitAreUsedForOthers) {
  std::vector<LimitedTask> tasks;
  for (std::uint32_t i = 0; i < kMaxLimitedTasks; ++i) tasks.push_back({"a" + std::to_string(i), 1});
  limit(tasks);
  EXPECT_TRUE(take(0, "a7"));
  for (LimitedTask& task : tasks) task.name = "b" + task.name;
  limit(tasks);
  for (const LimitedTask& task : tasks) EXPECT_EQ(limit_of(of(task.name)), 1u) << task.name;
  EXPECT_EQ(find_task_limit(board_, "a7"), std::nullopt);
  int full = 0;
  for (const LimitedTask& task : tasks) full += is_full(of(task.name)) ? 1 : 0;
  EXPECT_EQ(full, 1) << "until the job of the former task has ended";
  EXPECT_EQ(reclaim_task_permits(board_, 0, 1), 1);
}

TEST_F(TaskPermits, WhatWasWrittenOverTheirCountsIsBounded) {
  board_.header().task_limits = ~0U;
  of().limit = ~0U;
  of().cells_used = ~0U;
  EXPECT_EQ(task_limits_in_use(board_), kMaxLimitedTasks);
  EXPECT_EQ(limit_of(of()), kMaxSlots);
  EXPECT_TRUE(take(0));
  EXPECT_EQ(reclaim_task_permits(board_, 0, 1), 1);
}

}  // namespace
}  // namespace postpone::board
