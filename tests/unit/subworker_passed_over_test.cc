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
  EXPECT_EQ(passed_over.leave(job(1, "mail"), kStart, 1), PassedOver::News::task);
  EXPECT_EQ(passed_over.leave(job(2, "mail"), kStart, 1), PassedOver::News::none) << "known";
  passed_over.leave(job(3, "wash"), kStart, 1);
  EXPECT_THAT(passed_over.list(kStart + 1000h).tasks, ElementsAre("mail", "wash"));
  passed_over.forget_left([](const std::string& task) { return task == "mail"; });
  EXPECT_THAT(passed_over.list(kStart).tasks, ElementsAre("wash"));
}

// None is forgotten for another one, or they would all be fetched and given back again and again.
TEST(TasksOfOthers, BeyondThoseThatAreRememberedCostTheirJobsAWaitThatGrows) {
  PassedOver passed_over;
  const auto leave = [&](sql::JobId id, PassedOver::Clock::time_point now) {
    return passed_over.leave(job(id, "task " + std::to_string(id)), now, 1);
  };
  for (sql::JobId id = 0; id < 201; ++id) leave(id, kStart);
  EXPECT_EQ(passed_over.list(kStart).tasks.size(), PassedOver::kMostLeft);
  EXPECT_EQ(leave(0, kStart), PassedOver::News::none) << "still known";
  EXPECT_THAT(passed_over.list(kStart + 1s).jobs, ElementsAre(200));
  EXPECT_THAT(passed_over.list(kStart + 2s).jobs, IsEmpty());
  leave(200, kStart + 2s);
  EXPECT_THAT(passed_over.list(kStart + 5s).jobs, ElementsAre(200)) << "after a longer wait";
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
