// Sets of jobs, with the test in the place of the sub-worker: where a set ends, and what the ledger says then.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <time.h>

#include <string>
#include <vector>

#include "libtask/wire/frame.h"
#include "libtask/wire/ledger.h"
#include "tests/process/channel_fixture.h"

namespace libtask {
namespace {

using wire::ResultStatus;

std::int64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

wire::Run job(const std::string& task, const std::string& args = "{}") {
  return {.task = task, .queue = "default", .args = args};
}

class LedgerOfASet : public testing::TestWithParam<Language> {
 protected:
  LedgerOfASet() { served_.welcome(); }

  // The result of the set, of a plain job, this one and two more plain ones.
  wire::Result run_between_plain_ones(const std::string& task, const std::string& args = "{}") {
    served_.start_set(
        {job("channel.nothing"), job(task, args), job("channel.nothing"), job("channel.nothing")});
    while (true) {
      auto frame = served_.receive();
      if (!frame) throw std::runtime_error("the channel was closed");
      if (auto* result = std::get_if<wire::Result>(&*frame)) return std::move(*result);
    }
  }
  // The set has ended with the job in question.
  void expect_that_it_ends(const std::string& task, const std::string& args = "{}",
                           ResultStatus status = ResultStatus::succeeded) {
    SCOPED_TRACE(task);
    const wire::Result result = run_between_plain_ones(task, args);
    EXPECT_EQ(result.job_id, served_.last_job - 2);
    EXPECT_EQ(result.status, status) << result.message;
    EXPECT_EQ(served_.cursor(), (wire::Cursor{served_.last_set, false, 1}));
    served_.output_so_far();
  }

  Served served_{channel_tasks_in(GetParam())};
};

INSTANTIATE_TEST_SUITE_P(, LedgerOfASet, testing::ValuesIn(postpone::tests::kLanguages));

TEST_P(LedgerOfASet, PlainJobsRunToTheEndAndTheLastOneHasTheResult) {
  for (const std::size_t jobs : {std::size_t{1}, std::size_t{2}, std::size_t{wire::kLedgerEntries}}) {
    const auto before = monotonic_ns();
    served_.start_set(std::vector<wire::Run>(jobs, job("channel.nothing")));
    const auto result = served_.receive_a<wire::Result>();
    const auto after = monotonic_ns();
    EXPECT_EQ(result.job_id, served_.last_job);
    EXPECT_EQ(result.status, ResultStatus::succeeded);
    EXPECT_EQ(served_.cursor(),
              (wire::Cursor{served_.last_set, false, static_cast<std::uint32_t>(jobs - 1)}));
    std::int64_t since = before;
    for (std::size_t i = 0; i + 1 < jobs; ++i) {
      const wire::PlainRun run = served_.ledger->entries[i].read();
      EXPECT_TRUE(is_possible(run, since, after)) << i;
      EXPECT_GT(run.max_rss_bytes, 0u);
      since = run.ended_ns;
    }
  }
}

TEST_P(LedgerOfASet, AJobThatIsNotPlainEndsIt) {
  expect_that_it_ends("channel.throw", "{}", ResultStatus::exception);
  expect_that_it_ends("channel.unheard_of", "{}", ResultStatus::unknown_task);
  expect_that_it_ends("channel.write");
  EXPECT_EQ(served_.output_so_far(), "from a stream and from C");
  expect_that_it_ends("channel.defer");
  expect_that_it_ends("channel.give_alone");
  expect_that_it_ends("channel.count", R"({"last": 1})");
  expect_that_it_ends("channel.log");
  expect_that_it_ends("channel.terminate");
  expect_that_it_ends("channel.shell", R"({"command": "true"})");
  expect_that_it_ends("channel.unseen");
}

TEST_P(LedgerOfASet, EachJobHasItsOwnMeta) {
  wire::Run gives = job("channel.give");
  gives.meta = R"({"n": 2})";
  wire::Run other = job("channel.nothing");
  other.meta = R"({"n": 3})";
  served_.start_set({job("channel.nothing"), gives, other});
  EXPECT_EQ(served_.receive_a<wire::Progress>().job_id, served_.last_job - 1);
  EXPECT_THAT(served_.receive_a<wire::Value>().json, testing::HasSubstr("2"));
  EXPECT_EQ(served_.receive_a<wire::Result>().job_id, served_.last_job - 1);
}

TEST_P(LedgerOfASet, AChildThatIsLeftEndsIt) {
  expect_that_it_ends("channel.child");
}

TEST_P(LedgerOfASet, AChildThatGoesItsOwnWayEndsIt) {
  expect_that_it_ends("channel.daemonize");
}

TEST_P(LedgerOfASet, AChangedStandardDescriptorEndsIt) {
  expect_that_it_ends("channel.stdout", R"({"file": "/dev/zero"})");
}

TEST_P(LedgerOfASet, AClosedStandardDescriptorEndsIt) {
  expect_that_it_ends("channel.close");
}

TEST_P(LedgerOfASet, AJobThatOutgrowsTheLimitEndsIt) {
  served_.start_set({job("channel.nothing"), job("channel.grow", R"({"mib": 64})"), job("channel.nothing")},
                    std::uint64_t{48} << 20U);
  EXPECT_EQ(served_.receive_a<wire::Result>().job_id, served_.last_job - 1);
  served_.start_set({job("channel.nothing"), job("channel.grow", R"({"mib": 64})"), job("channel.nothing")});
  EXPECT_EQ(served_.receive_a<wire::Result>().job_id, served_.last_job) << "without a limit";
}

TEST_P(LedgerOfASet, TheJobThatWasSingledOutIsTheLast) {
  served_.ledger->cursor.store(wire::to_word({.set = ++served_.last_set, .stop = true, .index = 0}));
  wire::Runs runs{.set = served_.last_set, .runs = {job("channel.nothing"), job("channel.nothing")}};
  runs.runs[0].job_id = 71;
  runs.runs[1].job_id = 72;
  served_.send_frame(runs);
  EXPECT_EQ(served_.receive_a<wire::Result>().job_id, 71);
  EXPECT_EQ(served_.cursor(), (wire::Cursor{served_.last_set, true, 0}));
}

TEST_P(LedgerOfASet, ACrashLeavesTheCursorAtItsJob) {
  served_.start_set(
      {job("channel.nothing"), job("channel.nothing"), job("channel.crash"), job("channel.nothing")});
  EXPECT_FALSE(served_.receive().has_value());
  EXPECT_EQ(served_.cursor(), (wire::Cursor{served_.last_set, false, 2}));
}

TEST_P(LedgerOfASet, OneJobByItselfRunsBetweenSets) {
  served_.start_set({job("channel.nothing"), job("channel.nothing")});
  EXPECT_EQ(served_.receive_a<wire::Result>().job_id, served_.last_job);
  EXPECT_EQ(served_.run("channel.nothing").status, ResultStatus::succeeded);
  EXPECT_EQ(served_.cursor(), (wire::Cursor{served_.last_set, false, 1})) << "which it does not touch";
}

TEST_P(LedgerOfASet, WhatAJobChangesInItsProcessIsPutBackForTheNextOne) {
  EXPECT_EQ(served_.run("channel.show").status, ResultStatus::succeeded);
  const std::string before = served_.output_so_far();
  served_.start_set({job("channel.disturb"), job("channel.show")});
  EXPECT_EQ(served_.receive_a<wire::Result>().job_id, served_.last_job);
  EXPECT_EQ(served_.output_so_far(), before + before);
}

}  // namespace
}  // namespace libtask
