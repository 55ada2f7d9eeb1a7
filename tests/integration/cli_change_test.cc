// `postpone jobs cancel` and `retry`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/integration/cli_fixture.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST_F(Cli, CancelTellsWhatBecameOfEachJob) {
  const std::string waiting = defer({"wash"});
  const std::string running = defer({"wash"});
  sql("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = " + running);

  const ProgramRun result = run({"jobs", "cancel", waiting, running, "4711"});
  EXPECT_EQ(result.exit_status, kNotDone);
  EXPECT_EQ(result.output, "job " + waiting + " cancelled\n");
  EXPECT_THAT(result.errors,
              AllOf(HasSubstr("job " + running + " is running; --abort"), HasSubstr("there is no job 4711")));

  const auto aborted = json({"jobs", "cancel", running, "--abort"});
  EXPECT_EQ(aborted["jobs"][0]["result"], "abort_requested");
  const auto ended = json({"jobs", "cancel", waiting});
  EXPECT_EQ(ended["jobs"][0]["result"], "cancelled");
  EXPECT_THAT(ended["jobs"][0]["problem"].get<std::string>(), HasSubstr("has ended (cancelled)"));
}

TEST_F(Cli, CancelByFilterTakesOnlyJobsThatWait) {
  defer({"wash", "--queue", "kitchen"});
  defer({"wash", "--queue", "kitchen"});
  const std::string other = defer({"wash", "--queue", "bath"});
  EXPECT_EQ(json({"jobs", "cancel", "--queue", "kitchen"})["jobs"].size(), 2);
  EXPECT_EQ(run({"jobs", "cancel", "--queue", "kitchen"}).output, "no such jobs\n");
  EXPECT_EQ(sql("SELECT id FROM procrastinate_jobs WHERE status = 'todo'"), other);
}

TEST_F(Cli, CancelWithDeleteLeavesNothing) {
  const std::string id = defer({"wash"});
  EXPECT_EQ(run({"jobs", "cancel", id, "--delete"}).output, "job " + id + " deleted\n");
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_jobs"), "0");
}

TEST_F(Cli, RetryLetsAFailedJobWaitAgainElsewhere) {
  const std::string id = defer({"wash"});
  sql("UPDATE procrastinate_jobs SET status = 'doing'");
  sql("UPDATE procrastinate_jobs SET status = 'failed', attempts = 1");
  const ProgramRun result = run({"jobs", "retry", id, "--new-queue", "slow", "--new-priority", "3",
                                 "--new-lock", "sink", "--at", "2030-01-01T00:00Z"});
  EXPECT_EQ(result.exit_status, kDone) << result.errors;
  EXPECT_EQ(result.output, "job " + id + " retried, with a fresh retry budget\n");
  const auto job = json({"jobs", "show", id});
  EXPECT_EQ(job["status"], "todo");
  EXPECT_EQ(job["queue"], "slow");
  EXPECT_EQ(job["priority"], 3);
  EXPECT_EQ(job["lock"], "sink");
  EXPECT_EQ(job["scheduled_at"], "2030-01-01T00:00:00.000000Z");
}

TEST_F(Cli, RetryInCountsFromTheDatabasesClock) {
  const std::string id = defer({"wash"});
  sql("UPDATE procrastinate_jobs SET status = 'doing'");
  sql("UPDATE procrastinate_jobs SET status = 'failed'");
  EXPECT_EQ(run({"jobs", "retry", id, "--in", "36525d"}).exit_status, kDone);
  EXPECT_EQ(sql("SELECT scheduled_at - now() BETWEEN '36524 days' AND '36525 days' FROM procrastinate_jobs"),
            "t");
}

TEST_F(Cli, RetryTellsWhyAJobCannotBeRetried) {
  const std::string waiting = defer({"wash"});
  const std::string running = defer({"wash"});
  sql("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = " + running);
  const ProgramRun result = run({"jobs", "retry", waiting, running, "4711"});
  EXPECT_EQ(result.exit_status, kNotDone);
  EXPECT_THAT(result.errors,
              AllOf(HasSubstr("job " + waiting + " waits already"),
                    HasSubstr("job " + running + " is running"), HasSubstr("there is no job 4711")));
  EXPECT_EQ(run({"jobs", "retry", running, "--even-running"}).exit_status, kDone);
}

TEST_F(Cli, RetryYieldsToAJobThatWaitsWithTheSameQueueingLock) {
  const std::string failed = defer({"wash", "--queueing-lock", "plate"});
  sql("UPDATE procrastinate_jobs SET status = 'doing'");
  sql("UPDATE procrastinate_jobs SET status = 'failed'");
  const std::string waiting = defer({"wash", "--queueing-lock", "plate"});
  const ProgramRun result = run({"jobs", "retry", "--status", "failed"});
  EXPECT_EQ(result.exit_status, kNotDone);
  EXPECT_THAT(result.errors, AllOf(IsOneLine(), HasSubstr("job " + waiting)));
  EXPECT_EQ(sql("SELECT status FROM procrastinate_jobs WHERE id = " + failed), "failed");
}

}  // namespace
}  // namespace postpone::tests
