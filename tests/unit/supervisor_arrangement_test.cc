// Which slots serve which group, and which sub-workers are replaced next.
#include "supervisor/crew/arrangement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace postpone::supervisor {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

config::Group group(const std::string& name, int count) {
  config::Group group;
  group.name = name;
  group.count = count;
  return group;
}

std::vector<config::Group> kitchen_and_bar() {
  return {group("kitchen", 2), group("bar", 1)};
}

// --- which slot serves which group ---

const board::GroupId kKitchen = board::group_id("kitchen");
const board::GroupId kBar = board::group_id("bar");
const board::GroupId kGarden = board::group_id("garden");

constexpr SlotUse kVacant{};
constexpr SlotUse kLeaving{.group = board::kNoGroup, .vacant = false, .busy = true};
SlotUse idle(board::GroupId group) {
  return {.group = group, .vacant = false, .busy = false};
}
SlotUse busy(board::GroupId group) {
  return {.group = group, .vacant = false, .busy = true};
}

TEST(ArrangeSlots, AtTheStartGroupsTakeSlotsInTheirOrder) {
  const std::vector<SlotUse> slots(4, kVacant);
  const Arrangement arrangement = arrange(kitchen_and_bar(), slots);
  EXPECT_THAT(arrangement.engaged, ElementsAre(Pair(0, 0), Pair(1, 0), Pair(2, 1)));
  EXPECT_THAT(arrangement.dismissed, IsEmpty());
}

TEST(ArrangeSlots, WhatIsRightStays) {
  const Arrangement arrangement =
      arrange(kitchen_and_bar(), std::vector{idle(kKitchen), busy(kBar), idle(kKitchen), kVacant});
  EXPECT_THAT(arrangement.engaged, IsEmpty());
  EXPECT_THAT(arrangement.dismissed, IsEmpty());
}

TEST(ArrangeSlots, OtherPlacesInTheFileChangeNothing) {
  auto groups = kitchen_and_bar();
  std::swap(groups[0], groups[1]);
  groups.insert(groups.begin(), group("garden", 1));
  const Arrangement arrangement =
      arrange(groups, std::vector{idle(kKitchen), busy(kBar), idle(kKitchen), kVacant});
  EXPECT_THAT(arrangement.engaged, ElementsAre(Pair(3, 0))) << "but for the garden, which is new";
  EXPECT_THAT(arrangement.dismissed, IsEmpty());
}

TEST(ArrangeSlots, AGroupThatIsGoneIsDismissed) {
  const std::vector slots{idle(kKitchen), idle(kKitchen), idle(kGarden), busy(kBar), busy(kGarden)};
  const Arrangement arrangement = arrange(kitchen_and_bar(), slots);
  EXPECT_THAT(arrangement.dismissed, ElementsAre(2, 4));
  EXPECT_THAT(arrangement.engaged, IsEmpty());
}

TEST(ArrangeSlots, AGroupThatShrinksDismissesThoseWithoutAJobFirst) {
  const std::vector slots{busy(kKitchen), idle(kKitchen), busy(kKitchen), idle(kKitchen)};
  const auto dismissed = [&](int count) {
    return arrange(std::vector{group("kitchen", count)}, slots).dismissed;
  };
  EXPECT_THAT(dismissed(2), testing::UnorderedElementsAre(1, 3));
  EXPECT_THAT(dismissed(1), testing::SizeIs(3));
}

TEST(ArrangeSlots, ASlotThatIsBeingLeftIsNotGivenAway) {
  const Arrangement arrangement = arrange(std::vector{group("kitchen", 2)}, std::vector{kLeaving, kVacant});
  EXPECT_THAT(arrangement.engaged, ElementsAre(Pair(1, 0)));
  EXPECT_EQ(arrangement.waiting, 1);
}

// --- which are replaced ---

constexpr std::chrono::steady_clock::time_point kNow{1000h};

TEST(ReplaceOneByOne, AnIdleOneOfEachGroupGoesFirst) {
  const std::vector<Candidate> all{{.slot = 0, .group = 0, .outdated = true, .serving = true, .busy = true},
                                   {.slot = 1, .group = 0, .outdated = true, .serving = true},
                                   {.slot = 2, .group = 0, .outdated = true, .serving = true},
                                   {.slot = 3, .group = 1, .outdated = true, .serving = true, .busy = true},
                                   {.slot = 4, .group = 2, .serving = true}};
  EXPECT_THAT(to_replace(all, kNow), ElementsAre(1, 3));
}

TEST(ReplaceOneByOne, NobodyGoesBeforeTheOneBeforeHimServes) {
  std::vector<Candidate> all{{.slot = 0, .group = 0, .outdated = true, .leaving = true, .serving = true},
                             {.slot = 1, .group = 0, .outdated = true, .serving = true}};
  EXPECT_THAT(to_replace(all, kNow), IsEmpty()) << "it is about to leave";
  all[0] = {.slot = 0, .group = 0};
  EXPECT_THAT(to_replace(all, kNow), IsEmpty()) << "its successor is on its way up, or cannot start";
  all[0].serving = true;
  EXPECT_THAT(to_replace(all, kNow), ElementsAre(1));
}

TEST(ReplaceOneByOne, OnceSomebodyServesWithTheNewConfigurationALongJobHoldsNobodyUp) {
  const std::vector<Candidate> all{{.slot = 0,
                                    .group = 0,
                                    .outdated = true,
                                    .leaving = true,
                                    .leaving_since = kNow,
                                    .serving = true,
                                    .busy = true},
                                   {.slot = 1, .group = 0, .outdated = true, .serving = true, .busy = true},
                                   {.slot = 2, .group = 0, .serving = true}};
  EXPECT_THAT(to_replace(all, kNow), ElementsAre(1));
}

TEST(ReplaceOneByOne, ABusyGroupWaitsForItsFirstSuccessorUnlessAJobLasts) {
  std::vector<Candidate> all{{.slot = 0,
                              .group = 0,
                              .outdated = true,
                              .leaving = true,
                              .leaving_since = kNow,
                              .serving = true,
                              .busy = true},
                             {.slot = 1, .group = 0, .outdated = true, .serving = true, .busy = true},
                             {.slot = 2, .group = 0, .outdated = true, .serving = true, .busy = true}};
  EXPECT_THAT(to_replace(all, kNow + kLongJob - 1ms), IsEmpty());
  EXPECT_THAT(to_replace(all, kNow + kLongJob), ElementsAre(1));
  all[1].leaving = true;
  all[1].leaving_since = kNow + kLongJob;
  EXPECT_THAT(to_replace(all, kNow + kLongJob + 1s), IsEmpty()) << "one a minute";
  all[1] = {.slot = 1, .group = 0};
  EXPECT_THAT(to_replace(all, kNow + 1h), IsEmpty()) << "its successor cannot start";
}

}  // namespace
}  // namespace postpone::supervisor
