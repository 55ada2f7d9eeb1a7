// What a failed job may still spend, and what becomes of one that its program does not fit.
#include <gmock/gmock.h>

#include <chrono>
#include <csignal>
#include <string>

#include "subworker_outcome_fixture.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using sql::Action;
using sql::Cause;

TEST(Outcome, HandlerThatAsksForARetryGetsItWhateverWaitTheStrategyHas) {
  Returned asked = threw(false);
  asked.result.retry_in_us = 1'500'000;
  const auto without = decide_first(ended(asked));
  EXPECT_EQ(without.action, Action::retry);
  EXPECT_EQ(without.retry_in, 1500ms);
  EXPECT_TRUE(without.counts);
  const auto with =
      decide_first(ended(asked), RetryStrategy{.max_attempts = 1, .wait = 60s, .queue = "later"});
  EXPECT_EQ(with.action, Action::retry);
  EXPECT_EQ(with.retry_in, 1500ms);
  EXPECT_EQ(with.new_queue, "later");
}

TEST(Outcome, HandlerThatAsksForARetryIsCountedUnlessItSaysOtherwise) {
  const RetryStrategy strategy{.max_attempts = 2, .wait = 60s};
  Returned asked = threw();
  asked.result.retry_in_us = 1'500'000;
  EXPECT_EQ(decide(job_after(1), ended(asked), task_with(strategy), {}).action, Action::retry);
  const auto exhausted = decide(job_after(2), ended(asked), task_with(strategy), {});
  EXPECT_EQ(exhausted.action, Action::fail);
  EXPECT_EQ(exhausted.message, "the sink is full; no attempt is left");
  EXPECT_EQ(decide(job_after(2), ended(asked), task_with({}), {}).action, Action::retry)
      << "there is no limit";

  asked.result.retry_counts = false;
  const auto uncounted = decide(job_after(2), ended(asked), task_with(strategy), {});
  EXPECT_EQ(uncounted.action, Action::retry);
  EXPECT_FALSE(uncounted.counts);
}

TEST(Outcome, HandlerThatAsksForARetryMayChangeTheJob) {
  Returned asked = threw();
  asked.result.retry_in_us = 0;
  asked.result.retry_priority = 3;
  asked.result.retry_lock = "api";
  const auto outcome = decide_first(ended(asked), RetryStrategy{.priority = -1, .queue = "later"});
  EXPECT_EQ(outcome.new_priority, 3);
  EXPECT_EQ(outcome.new_queue, "later") << "of the strategy, since the handler has not named one";
  EXPECT_EQ(outcome.new_lock, "api");
}

TEST(Outcome, WhatAPersonHasGrantedLetsAJobWithoutAStrategyRunAgain) {
  sql::Job job = job_after(4);
  job.budget = {.uncounted = 4, .allowed = 2};
  EXPECT_EQ(decide(job, ended(threw()), task_with({}), {}).action, Action::retry);
  EXPECT_EQ(decide(job, ended(died_by(SIGSEGV)), task_with({}), {}).action, Action::retry);
  EXPECT_EQ(decide(job, ended(threw(false)), task_with({}), {}).action, Action::fail);
  job.budget.allowed = 1;
  EXPECT_EQ(decide(job, ended(threw()), task_with({}), {}).action, Action::fail);
}

TEST(Outcome, FreshBudgetBeginsWithTheFirstWait) {
  sql::Job job = job_after(9);
  job.budget.uncounted = 9;
  EXPECT_EQ(decide(job, ended(threw()), task_with(RetryStrategy{.exponential_wait = 2s}), {}).retry_in, 2s);
}

TEST(Outcome, InterruptedAttemptDoesNotCount) {
  EXPECT_FALSE(decide_first(ended(died_by(SIGKILL), StopReason::shutdown)).counts);
  EXPECT_TRUE(decide_first(ended(threw()), RetryStrategy{}).counts);
}

// --- jobs that the program does not fit --------------------------------------------------------------------

TEST(Misfit, WaitsAFewTimesWhateverItsStrategySaysAndHasFailedThen) {
  for (const auto status : {ResultStatus::bad_arguments, ResultStatus::unknown_task}) {
    sql::Job job = job_after(7);
    const auto first = decide(job, ended(returned(status, "no")), task_with({}), {});
    EXPECT_EQ(first.action, Action::retry);
    EXPECT_EQ(first.retry_in, 10s);
    EXPECT_FALSE(first.counts);
    job.budget.misfits = sql::kMostMisfits;
    EXPECT_EQ(decide(job, ended(returned(status, "no")), task_with(RetryStrategy{}), {}).action,
              Action::fail);
  }
}

TEST(Misfit, FailsAtOnceWhereTheGroupSaysSo) {
  config::Group group;
  group.bad_arguments = config::BadArguments::fail;
  EXPECT_EQ(decide(job_after(0), ended(returned(ResultStatus::bad_arguments)), task_with({}), group).action,
            Action::fail);
  group.unknown_task = config::UnknownTask::fail;
  EXPECT_EQ(unknown_task(job_after(0), {}, group).action, Action::fail);
  group.unknown_task = config::UnknownTask::retry;
  EXPECT_EQ(unknown_task(job_after(0), {}, group).retry_in, 10s);
}

TEST(Misfit, TellsWhatThereIsWhenItFails) {
  libtask::wire::Description description;
  description.tasks = {TaskDescription{.name = "mail.send"}, TaskDescription{.name = "mail.sort"}};
  config::Group group = deleting(config::DeleteJobs::always);
  group.unknown_task = config::UnknownTask::fail;
  const auto outcome = unknown_task(job_after(1), description, group);
  EXPECT_EQ(outcome.job_id, 42);
  EXPECT_EQ(outcome.attempt, 2);
  EXPECT_EQ(outcome.action, Action::fail);
  EXPECT_EQ(outcome.cause, Cause::unknown_task);
  EXPECT_EQ(outcome.message, "/opt/mail has no task \"dishes.wash\"; it has: mail.send, mail.sort");
  EXPECT_TRUE(outcome.delete_job);
}

// Hundreds of names in each attempt and each line help nobody.
TEST(Outcome, OfManyTasksTheNearestThreeAreTold) {
  libtask::wire::Description description;
  for (int i = 0; i < 300; ++i)
    description.tasks.push_back(TaskDescription{.name = "report." + std::to_string(i)});
  for (const char* name : {"dishes.dry", "dishes.wsh", "dish.wash"})
    description.tasks.push_back(TaskDescription{.name = name});
  const auto outcome = unknown_task(job_after(1), description, deleting(config::DeleteJobs::always));
  EXPECT_EQ(outcome.message,
            "/opt/mail has no task \"dishes.wash\"; of its 303 tasks these are the nearest: dishes.wsh, "
            "dish.wash, dishes.dry");
}

}  // namespace
}  // namespace postpone::subworker
