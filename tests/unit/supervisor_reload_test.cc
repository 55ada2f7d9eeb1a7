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
  EXPECT_THAT(change.words, ElementsAre("new group garden with 3 sub-workers"));
}

TEST(CompareConfigs, OtherPlacesOfTheSameGroupsConcernTheHousekeeperOnly) {
  auto next = kitchen_and_bar();
  std::swap(next.groups[0], next.groups[1]);
  const Change change = compare(kitchen_and_bar(), next, {});
  EXPECT_TRUE(change.housekeeper);
  EXPECT_FALSE(change.everybody || change.listening);
  EXPECT_THAT(change.groups, IsEmpty());
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
  EXPECT_FALSE(change.words.empty());
  next = kitchen_and_bar();
  next.stalled.max_stalled = 9;
  change = compare(kitchen_and_bar(), next, {});
  EXPECT_TRUE(change.housekeeper);
  EXPECT_FALSE(change.everybody);
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

// --- who belongs where ---

constexpr Post kVacant{.group = board::kNoGroup, .vacant = true, .busy = false};
constexpr Post kLeaving{.group = board::kNoGroup, .vacant = false, .busy = true};
constexpr Post idle(std::uint32_t group) {
  return {.group = group, .vacant = false, .busy = false};
}
constexpr Post busy(std::uint32_t group) {
  return {.group = group, .vacant = false, .busy = true};
}

TEST(ArrangePosts, AtTheStartGroupsTakeSlotsInTheirOrder) {
  const std::vector<Post> posts(4, kVacant);
  const Arrangement arrangement = arrange(std::vector{2, 1}, posts);
  EXPECT_THAT(arrangement.engaged, ElementsAre(Pair(0, 0), Pair(1, 0), Pair(2, 1)));
  EXPECT_THAT(arrangement.dismissed, IsEmpty());
}

TEST(ArrangePosts, WhoIsRightStays) {
  const Arrangement arrangement = arrange(std::vector{2, 1}, std::vector{idle(0), busy(1), idle(0), kVacant});
  EXPECT_THAT(arrangement.engaged, IsEmpty());
  EXPECT_THAT(arrangement.dismissed, IsEmpty());
}

TEST(ArrangePosts, AGroupThatShrinksDismissesThoseWithoutAJobFirst) {
  const std::vector posts{busy(0), idle(0), busy(0), idle(0)};
  EXPECT_THAT(arrange(std::vector{2}, posts).dismissed, testing::UnorderedElementsAre(1, 3));
  EXPECT_THAT(arrange(std::vector{1}, posts).dismissed, testing::SizeIs(3));
}

TEST(ArrangePosts, ASlotThatIsBeingLeftIsNotGivenAway) {
  const Arrangement arrangement = arrange(std::vector{2}, std::vector{kLeaving, kVacant});
  EXPECT_THAT(arrangement.engaged, ElementsAre(Pair(1, 0)));
  EXPECT_EQ(arrangement.waiting, 1);
}

// --- who is replaced ---

constexpr std::chrono::steady_clock::time_point kNow{1000h};

TEST(ReplaceOneByOne, AnIdleOneOfEachGroupGoesFirst) {
  const std::vector<Incumbent> all{{.slot = 0, .group = 0, .outdated = true, .serving = true, .busy = true},
                                   {.slot = 1, .group = 0, .outdated = true, .serving = true},
                                   {.slot = 2, .group = 0, .outdated = true, .serving = true},
                                   {.slot = 3, .group = 1, .outdated = true, .serving = true, .busy = true},
                                   {.slot = 4, .group = 2, .serving = true}};
  EXPECT_THAT(to_replace(all, kNow), ElementsAre(1, 3));
}

TEST(ReplaceOneByOne, NobodyGoesBeforeTheOneBeforeHimServes) {
  std::vector<Incumbent> all{{.slot = 0, .group = 0, .outdated = true, .told = true, .serving = true},
                             {.slot = 1, .group = 0, .outdated = true, .serving = true}};
  EXPECT_THAT(to_replace(all, kNow), IsEmpty()) << "it is about to leave";
  all[0] = {.slot = 0, .group = 0};
  EXPECT_THAT(to_replace(all, kNow), IsEmpty()) << "its successor is on its way up, or cannot start";
  all[0].serving = true;
  EXPECT_THAT(to_replace(all, kNow), ElementsAre(1));
}

TEST(ReplaceOneByOne, OnceSomebodyServesWithTheNewConfigurationALongJobHoldsNobodyUp) {
  const std::vector<Incumbent> all{
      {.slot = 0, .group = 0, .outdated = true, .told = true, .told_at = kNow, .serving = true, .busy = true},
      {.slot = 1, .group = 0, .outdated = true, .serving = true, .busy = true},
      {.slot = 2, .group = 0, .serving = true}};
  EXPECT_THAT(to_replace(all, kNow), ElementsAre(1));
}

TEST(ReplaceOneByOne, ABusyGroupWaitsForItsFirstSuccessorUnlessAJobLasts) {
  std::vector<Incumbent> all{
      {.slot = 0, .group = 0, .outdated = true, .told = true, .told_at = kNow, .serving = true, .busy = true},
      {.slot = 1, .group = 0, .outdated = true, .serving = true, .busy = true},
      {.slot = 2, .group = 0, .outdated = true, .serving = true, .busy = true}};
  EXPECT_THAT(to_replace(all, kNow + kLongJob - 1ms), IsEmpty());
  EXPECT_THAT(to_replace(all, kNow + kLongJob), ElementsAre(1));
  all[1].told = true;
  all[1].told_at = kNow + kLongJob;
  EXPECT_THAT(to_replace(all, kNow + kLongJob + 1s), IsEmpty()) << "one a minute";
  all[1] = {.slot = 1, .group = 0};
  EXPECT_THAT(to_replace(all, kNow + 1h), IsEmpty()) << "its successor cannot start";
}

}  // namespace
}  // namespace postpone::supervisor
