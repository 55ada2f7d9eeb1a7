#include "subworker/housekeeper/retention.h"

#include <gmock/gmock.h>

#include <utility>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using sql::JobStatus;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

config::QueueRetention queue(const std::string& name) {
  config::QueueRetention queue;
  queue.name = name;
  return queue;
}

TEST(RetentionWalks, NothingIsRemovedUnlessItIsSaid) {
  EXPECT_THAT(retention_walks({}), IsEmpty());
}

TEST(RetentionWalks, OneGoesForEachTimeSpan) {
  config::Retention retention;
  retention.succeeded = retention.cancelled = 24h * 7;
  retention.failed = 24h * 30;
  const auto walks = retention_walks(retention);
  ASSERT_EQ(walks.size(), 2U);
  EXPECT_EQ(walks[0].older_than, 24h * 7);
  EXPECT_THAT(walks[0].statuses, ElementsAre(JobStatus::succeeded, JobStatus::cancelled));
  EXPECT_EQ(walks[1].older_than, 24h * 30);
  EXPECT_THAT(walks[1].statuses, ElementsAre(JobStatus::failed));
}

TEST(RetentionWalks, QueueMayHaveTimesOfItsOwn) {
  config::Retention retention;
  retention.succeeded = 24h;
  retention.failed = 48h;
  retention.queues = {queue("mail")};
  retention.queues[0].succeeded = 1h;
  const auto walks = retention_walks(retention);
  ASSERT_EQ(walks.size(), 3U);
  EXPECT_EQ(walks[0].older_than, 1h);
  EXPECT_THAT(walks[0].statuses, IsEmpty());
  EXPECT_THAT(walks[0].rules, ElementsAre(Pair(JobStatus::succeeded, "mail")));
  EXPECT_THAT(walks[1].statuses, ElementsAre(JobStatus::succeeded));
  EXPECT_THAT(walks[1].rules, IsEmpty());
  EXPECT_THAT(walks[1].own_queues, ElementsAre("mail"));
  EXPECT_THAT(walks[2].statuses, ElementsAre(JobStatus::failed));
  EXPECT_THAT(walks[2].rules, ElementsAre(Pair(JobStatus::failed, "mail"))) << "as in other queues";
}

TEST(RetentionWalks, QueueMayKeepItsJobsForEver) {
  config::Retention retention;
  retention.succeeded = 24h;
  retention.queues = {queue("audit")};
  retention.queues[0].succeeded = 0ms;
  const auto walks = retention_walks(retention);
  ASSERT_EQ(walks.size(), 1U);
  EXPECT_THAT(walks[0].rules, IsEmpty());
  EXPECT_THAT(walks[0].own_queues, ElementsAre("audit"));
}

}  // namespace
}  // namespace postpone::subworker
