#include "supervisor/reload/change.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postpone::supervisor {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

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

}  // namespace
}  // namespace postpone::supervisor
