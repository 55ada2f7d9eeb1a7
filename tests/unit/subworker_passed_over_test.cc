#include "subworker/worker/passed_over.h"
#include "tests/unit/start_time.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

sql::Job job(sql::JobId id, const std::string& task = "wash") {
  sql::Job job;
  job.id = id;
  job.task = task;
  return job;
}

TEST(JobsThatArePassedOver, AreTriedAgainAfterWaitsThatGrow) {
  PassedOver passed_over;
  EXPECT_EQ(passed_over.add(job(7), kStart, 1), PassedOver::News::job);
  EXPECT_THAT(passed_over.list(kStart + 1s).jobs, ElementsAre(7));
  EXPECT_THAT(passed_over.list(kStart + 2s).jobs, IsEmpty());
  EXPECT_EQ(passed_over.add(job(7), kStart + 2s, 1), PassedOver::News::none) << "known";
  EXPECT_THAT(passed_over.list(kStart + 5s).jobs, ElementsAre(7));
  EXPECT_THAT(passed_over.list(kStart + 6s).jobs, IsEmpty());
}

TEST(JobsThatArePassedOver, AreForgottenWhenTheyFailNoMore) {
  PassedOver passed_over;
  passed_over.add(job(7), kStart, 1);
  EXPECT_THAT(passed_over.list(kStart + 10min).jobs, IsEmpty());
  EXPECT_EQ(passed_over.add(job(7), kStart + 10min, 1), PassedOver::News::job) << "worth a line again";
}

TEST(TasksOfOthers, AreLeftAloneUntilAFreshTaskProcessHasThem) {
  PassedOver passed_over;
  EXPECT_TRUE(passed_over.leave("mail"));
  EXPECT_FALSE(passed_over.leave("mail")) << "known, and not worth another line";
  passed_over.leave("wash");
  EXPECT_THAT(passed_over.list(kStart + 1000h).tasks, ElementsAre("mail", "wash"));
  passed_over.forget_left([](const std::string& task) { return task == "mail"; });
  EXPECT_THAT(passed_over.list(kStart).tasks, ElementsAre("wash"));
  for (int i = 0; i < 1000; ++i) passed_over.leave(std::to_string(i));
  EXPECT_LE(passed_over.list(kStart).tasks.size(), PassedOver::kMostLeft);
}

// However many jobs of one task there are: no list grows with them, and a line is written for the first ones
// only.
TEST(JobsThatArePassedOver, BecomeTheirWholeTaskWhenThereAreMany) {
  PassedOver passed_over;
  passed_over.add(job(1, "other"), kStart, 1);
  int lines = 0;
  for (sql::JobId id = 10; id < 3000; ++id)
    lines += passed_over.add(job(id), kStart, 1) != PassedOver::News::none;
  EXPECT_EQ(lines, 20);
  EXPECT_THAT(passed_over.list(kStart + 1s).tasks, ElementsAre("wash"));
  EXPECT_THAT(passed_over.list(kStart + 1s).jobs, ElementsAre(1));
  EXPECT_THAT(passed_over.list(kStart + 2s).tasks, IsEmpty()) << "and it is tried again";
  EXPECT_EQ(passed_over.add(job(10), kStart + 2s, 1), PassedOver::News::none);
  EXPECT_THAT(passed_over.list(kStart + 5s).tasks, ElementsAre("wash")) << "after a longer wait";
  EXPECT_THAT(passed_over.list(kStart + 20min).tasks, IsEmpty());
}

}  // namespace
}  // namespace postpone::subworker
