#include "supervisor/reload/change.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "board/board.h"

namespace postpone::supervisor {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

config::Group group(const std::string& name, int count) {
  config::Group group;
  group.name = name;
  group.executable = "/srv/tasks";
  group.queues = {name};
  group.count = count;
  return group;
}

config::Config kitchen_and_bar() {
  config::Config config;
  config.groups = {group("kitchen", 2), group("bar", 1)};
  return config;
}

// --- what has changed ---

TEST(CompareConfigs, TheSameIsNoChange) {
  const Change change = compare(kitchen_and_bar(), kitchen_and_bar(), {});
  EXPECT_FALSE(change.everybody || change.housekeeper || change.listening);
  EXPECT_THAT(change.groups, IsEmpty());
  EXPECT_THAT(change.words, IsEmpty());
}

TEST(CompareConfigs, AnotherNumberOfSubWorkersReplacesNobody) {
  auto next = kitchen_and_bar();
  next.groups[0].count = 5;
  const Change change = compare(kitchen_and_bar(), next, {});
  EXPECT_FALSE(change.everybody || change.housekeeper || change.listening);
  EXPECT_THAT(change.groups, IsEmpty());
  EXPECT_THAT(change.words, ElementsAre("group kitchen has 5 sub-workers instead of 2"));
}

TEST(CompareConfigs, AChangedGroupIsReplacedAndNoOther) {
  auto next = kitchen_and_bar();
  next.groups[1].time_limit = 5min;
  const Change change = compare(kitchen_and_bar(), next, {});
  EXPECT_THAT(change.groups, ElementsAre("bar"));
  EXPECT_FALSE(change.everybody || change.listening);
}

TEST(CompareConfigs, TheHousekeeperIsReplacedForWhatItKnowsOnly) {
  auto next = kitchen_and_bar();
  next.groups[1].time_limit = 5min;
  next.supervisor.subworker_timeout = 1min;
  EXPECT_FALSE(compare(kitchen_and_bar(), next, {}).housekeeper);
  next.groups[1].environment = {{"OVEN", "hot"}};
  EXPECT_TRUE(compare(kitchen_and_bar(), next, {}).housekeeper) << "its periodic tasks may be others";
  next = kitchen_and_bar();
  next.supervisor.polling_interval = 1s;
  EXPECT_TRUE(compare(kitchen_and_bar(), next, {}).housekeeper);
}

TEST(CompareConfigs, ANewGroupIsListenedForAndKnownToTheHousekeeper) {
  auto next = kitchen_and_bar();
  next.groups.insert(next.groups.begin(), group("garden", 3));
  const Change change = compare(kitchen_and_bar(), next, {});
  EXPECT_THAT(change.groups, IsEmpty());
  EXPECT_TRUE(change.housekeeper && change.listening);
  EXPECT_THAT(change.words,
              ElementsAre("new group garden with 3 sub-workers", "the housekeeper is replaced"));
}

TEST(CompareConfigs, OtherPlacesOfTheSameGroupsConcernNoMember) {
  auto next = kitchen_and_bar();
  std::swap(next.groups[0], next.groups[1]);
  const Change change = compare(kitchen_and_bar(), next, {});
  EXPECT_FALSE(change.housekeeper || change.everybody || change.listening);
  EXPECT_THAT(change.groups, IsEmpty());
}

TEST(CompareConfigs, AGroupThatIsGoneConcernsTheHousekeeper) {
  auto next = kitchen_and_bar();
  next.groups.pop_back();
  EXPECT_TRUE(compare(kitchen_and_bar(), next, {}).housekeeper) << "its periodic tasks end";
}

TEST(CompareConfigs, AnotherFileAtThePlaceOfATaskExecutableReplacesItsGroups) {
  const Change change = compare(kitchen_and_bar(), kitchen_and_bar(), {"/srv/tasks"});
  EXPECT_THAT(change.groups, ElementsAre("bar", "kitchen"));
  EXPECT_TRUE(change.housekeeper);
}

TEST(CompareConfigs, WhatSubWorkersReadConcernsAllOfThem) {
  auto next = kitchen_and_bar();
  next.supervisor.polling_interval = 1s;
  EXPECT_TRUE(compare(kitchen_and_bar(), next, {}).everybody);
  next = kitchen_and_bar();
  next.log.format = config::LogFormat::json;
  EXPECT_TRUE(compare(kitchen_and_bar(), next, {}).everybody);
}

TEST(CompareConfigs, LogLevelsAreTakenByThoseWhoLive) {
  auto next = kitchen_and_bar();
  next.log.level = "debug";
  next.log.levels = {{"job", "error"}};
  const Change change = compare(kitchen_and_bar(), next, {});
  EXPECT_TRUE(change.log_levels);
  EXPECT_FALSE(change.everybody || change.housekeeper || change.listening || !change.groups.empty());
  EXPECT_EQ(change.words, (std::vector<std::string>{"log levels"}));
}

TEST(CompareConfigs, WhatOnlyTheSupervisorOrTheHousekeeperReadsReplacesNoSubWorker) {
  auto next = kitchen_and_bar();
  next.database.pool_size = 1;
  next.supervisor.respawn_backoff = 1s;
  Change change = compare(kitchen_and_bar(), next, {});
  EXPECT_FALSE(change.everybody || change.housekeeper);
  EXPECT_THAT(change.words, ElementsAre("keys that only the supervisor reads; no process is replaced"));
  next = kitchen_and_bar();
  next.stalled.max_stalled = 9;
  change = compare(kitchen_and_bar(), next, {});
  EXPECT_TRUE(change.housekeeper);
  EXPECT_FALSE(change.everybody);
  EXPECT_THAT(change.words, ElementsAre("the housekeeper is replaced"));
}

TEST(CompareConfigs, FixedKeysAreNamed) {
  EXPECT_THAT(fixed_keys_changed(kitchen_and_bar(), kitchen_and_bar()), IsEmpty());
  auto next = kitchen_and_bar();
  next.database.url = "dbname=other";
  next.supervisor.name = "other";
  next.supervisor.fence_after = 21s;
  std::vector<std::string> names;
  for (const auto& key : fixed_keys_changed(kitchen_and_bar(), next)) names.push_back(to_string(key));
  EXPECT_THAT(names, ElementsAre("database.url", "supervisor.name", "supervisor.heartbeat_interval",
                                 "supervisor.fence_after", "supervisor.stalled_after"));
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
  const Arrangement arrangement = arrange(kitchen_and_bar().groups, slots);
  EXPECT_THAT(arrangement.engaged, ElementsAre(Pair(0, 0), Pair(1, 0), Pair(2, 1)));
  EXPECT_THAT(arrangement.dismissed, IsEmpty());
}

TEST(ArrangeSlots, WhatIsRightStays) {
  const Arrangement arrangement =
      arrange(kitchen_and_bar().groups, std::vector{idle(kKitchen), busy(kBar), idle(kKitchen), kVacant});
  EXPECT_THAT(arrangement.engaged, IsEmpty());
  EXPECT_THAT(arrangement.dismissed, IsEmpty());
}

TEST(ArrangeSlots, OtherPlacesInTheFileChangeNothing) {
  auto groups = kitchen_and_bar().groups;
  std::swap(groups[0], groups[1]);
  groups.insert(groups.begin(), group("garden", 1));
  const Arrangement arrangement =
      arrange(groups, std::vector{idle(kKitchen), busy(kBar), idle(kKitchen), kVacant});
  EXPECT_THAT(arrangement.engaged, ElementsAre(Pair(3, 0))) << "but for the garden, which is new";
  EXPECT_THAT(arrangement.dismissed, IsEmpty());
}

TEST(ArrangeSlots, AGroupThatIsGoneIsDismissed) {
  const std::vector slots{idle(kKitchen), idle(kKitchen), idle(kGarden), busy(kBar), busy(kGarden)};
  const Arrangement arrangement = arrange(kitchen_and_bar().groups, slots);
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
