#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <climits>

#include "sql/listener.h"

namespace postpone::sql {
namespace {

using testing::ElementsAre;

constexpr const char* kAny = "procrastinate_any_queue_v1";
constexpr const char* kKitchen = "procrastinate_queue_v1#kitchen";

TEST(Notifications, OursSayQueueCountAndSchedule) {
  const auto heard = parse_notification(
      kAny, R"({"type": "job_inserted", "job_id": 12, "queue": "kitchen", "count": 3, "scheduled": true})");
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->type, Notification::Type::job_inserted);
  EXPECT_EQ(heard->job_id, 12);
  EXPECT_EQ(heard->queue, "kitchen");
  EXPECT_EQ(heard->count, 3);
  EXPECT_TRUE(heard->scheduled);
}

TEST(Notifications, PythonsSayOnlyTypeAndJob) {
  const auto heard = parse_notification(kAny, R"({"type": "job_inserted", "job_id": 12})");
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->queue, "");
  EXPECT_EQ(heard->count, 1);
  EXPECT_FALSE(heard->scheduled);
}

TEST(Notifications, TheChannelNamesTheQueue) {
  const auto heard = parse_notification(kKitchen, R"({"type": "job_inserted", "job_id": 12})");
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->queue, "kitchen");
}

TEST(Notifications, AbortsNameTheJob) {
  const auto heard =
      parse_notification(kKitchen, R"({"type": "abort_job_requested", "job_id": 9007199254740993})");
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->type, Notification::Type::abort_job_requested);
  EXPECT_EQ(heard->job_id, 9007199254740993);
}

TEST(Notifications, FurtherKeysAreNoMatter) {
  EXPECT_TRUE(parse_notification(
      kAny, R"({"type": "job_inserted", "job_id": 1, "freed_lock": true, "more": {"x": [1]}})"));
}

TEST(Notifications, ACountMayBeZeroOrHuge) {
  EXPECT_EQ(parse_notification(kAny, R"({"type": "job_inserted", "job_id": 1, "count": 0})")->count, 0);
  EXPECT_EQ(parse_notification(kAny, R"({"type": "job_inserted", "job_id": 1, "count": 99999999999})")->count,
            INT_MAX);
}

TEST(Notifications, WhatSaysTheSameBecomesOne) {
  using Type = Notification::Type;
  std::vector<Notification> heard;
  for (const Notification& word : {Notification{Type::job_inserted, 1, "a", 2, false},
                                   Notification{Type::abort_job_requested, 7, "", 1, false},
                                   Notification{Type::job_inserted, 2, "b", 1, false},
                                   Notification{Type::abort_job_requested, 8, "a", 1, false},
                                   Notification{Type::job_inserted, 3, "a", INT_MAX, true}})
    fold(word, heard);
  ASSERT_EQ(heard.size(), 3U);
  EXPECT_EQ(heard[0].count, INT_MAX);
  EXPECT_TRUE(heard[0].scheduled);
  EXPECT_EQ(heard[1].job_id, 7);
  EXPECT_EQ(heard[2].queue, "b");
  EXPECT_EQ(heard[2].count, 1);
}

TEST(Notifications, AWordLongerThanAnyOfOursIsNotRead) {
  const std::string queue(128, 'q');
  const auto with = [&](const std::string& more) {
    return R"({"type": "job_inserted", "job_id": 1, "queue": ")" + queue + R"(", "more": ")" + more + "\"}";
  };
  EXPECT_TRUE(parse_notification(kAny, with("")));
  EXPECT_FALSE(parse_notification(kAny, with(std::string(7000, 'x'))));
}

TEST(Notifications, WhatIsNotOfTheContractsFormIsIgnored) {
  for (const char* payload : {
           "",
           "hello",
           "[]",
           "7",
           R"({"type": "job_inserted"})",
           R"({"job_id": 1})",
           R"({"type": "job_deleted", "job_id": 1})",
           R"({"type": 5, "job_id": 1})",
           R"({"type": "job_inserted", "job_id": "1"})",
           R"({"type": "job_inserted", "job_id": 1.5})",
           R"({"type": "job_inserted", "job_id": 0})",
           R"({"type": "job_inserted", "job_id": -4})",
           R"({"type": "job_inserted", "job_id": null})",
           R"({"type": "job_inserted", "job_id": 1, "queue": 5})",
           R"({"type": "job_inserted", "job_id": 1, "count": -1})",
           R"({"type": "job_inserted", "job_id": 1, "count": "2"})",
           R"({"type": "job_inserted", "job_id": 1, "scheduled": "yes"})",
           R"({"type": "job_inserted", "job_id": 1)",
       }) {
    EXPECT_FALSE(parse_notification(kAny, payload)) << payload;
  }
}

TEST(Notifications, OtherChannelsAreNotOurs) {
  constexpr const char* kPayload = R"({"type": "job_inserted", "job_id": 1})";
  EXPECT_FALSE(parse_notification("procrastinate_any_queue_v2", kPayload));
  EXPECT_FALSE(parse_notification("procrastinate_queue_v1", kPayload));
  EXPECT_FALSE(parse_notification("", kPayload));
}

TEST(Channels, AllQueuesShareOne) {
  EXPECT_THAT(channels_for({}), ElementsAre(kAny));
}

TEST(Channels, EachQueueHasItsOwn) {
  EXPECT_THAT(channels_for({"kitchen", "bar", "kitchen"}),
              ElementsAre(kKitchen, "procrastinate_queue_v1#bar"));
}

TEST(Channels, ANameOfFortyBytesFits) {
  const std::string longest(40, 'q');
  EXPECT_THAT(channels_for({"kitchen", longest}), ElementsAre(kKitchen, "procrastinate_queue_v1#" + longest));
  EXPECT_EQ(channels_for({longest})[0].size(), 63U);
}

TEST(Channels, ALongerNameIsHeardOnTheCommonOne) {
  EXPECT_THAT(channels_for({"kitchen", std::string(41, 'q')}), ElementsAre(kAny));
}

TEST(Channels, BytesCountNotCharacters) {
  std::string umlauts;
  for (int i = 0; i < 21; ++i) umlauts += "ü";  // 21 characters, 42 bytes
  EXPECT_THAT(channels_for({umlauts}), ElementsAre(kAny));
}

}  // namespace
}  // namespace postpone::sql
