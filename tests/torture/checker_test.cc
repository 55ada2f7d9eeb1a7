// Fabricated histories: a good one in which nothing is found, and for each rule one in which it is broken and
// found.
#include "tests/torture/checker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace postpone::torture {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<Rule> broken(const History& history) {
  std::vector<Rule> rules;
  for (const Violation& violation : check(history)) rules.push_back(violation.rule);
  return rules;
}

// Two jobs of a lock. The first one lost its worker, and succeeded at the second attempt.
struct TwoJobs : testing::Test {
  History history;

  TwoJobs() {
    history.acknowledged = {1, 2};
    history.jobs = {{.id = 1, .lock = "l", .status = "succeeded", .attempts = 2},
                    {.id = 2, .lock = "l", .status = "succeeded", .attempts = 1}};
    history.attempts = {{1, 1, "worker_lost"}, {1, 2, "succeeded"}, {2, 1, "succeeded"}};
    std::int64_t id = 0;
    for (const auto& [job, type] : std::vector<std::pair<int, std::string>>{{1, "deferred"},
                                                                            {2, "deferred"},
                                                                            {1, "started"},
                                                                            {1, "deferred_for_retry"},
                                                                            {1, "started"},
                                                                            {1, "succeeded"},
                                                                            {2, "started"},
                                                                            {2, "succeeded"}}) {
      ++id;
      history.events.push_back({id, job, type, id * 10'000'000, id * 10'000'000 + 100});
    }
    history.journal = {{Sign::start, 1, 1, 10, 100, "l"}, {Sign::beat, 1, 1, 10, 200, "l"},
                       {Sign::start, 1, 2, 11, 300, "l"}, {Sign::end, 1, 2, 11, 400, "l"},
                       {Sign::start, 2, 1, 11, 500, "l"}, {Sign::end, 2, 1, 11, 600, "l"}};
  }

  void erase_events(std::int64_t from, std::int64_t to) {
    std::erase_if(history.events, [&](const EventRow& event) { return event.id >= from && event.id <= to; });
  }
};

TEST_F(TwoJobs, AGoodHistoryHasNoViolation) {
  EXPECT_THAT(broken(history), IsEmpty());
}

TEST_F(TwoJobs, ALostJobIsFound) {
  history.acknowledged.push_back(3);
  EXPECT_THAT(broken(history), ElementsAre(Rule::lost));
}

TEST_F(TwoJobs, AJobThatStillWaitsIsFound) {
  history.acknowledged.push_back(3);
  history.jobs.push_back({.id = 3, .status = "todo"});
  history.events.push_back({9, 3, "deferred", 90'000'000, 90'000'001});
  EXPECT_THAT(broken(history), ElementsAre(Rule::unfinished));
}

TEST_F(TwoJobs, AnExecutionInsideAnotherOneOfItsLockIsFound) {
  history.journal[3].at_ns = 550;  // job 1 ends after job 2 has started
  EXPECT_THAT(broken(history), ElementsAre(Rule::lock_overlap));
}

TEST_F(TwoJobs, ASurvivorThatWritesWhileTheNextRunsIsFound) {
  history.journal.push_back({Sign::beat, 1, 2, 77, 510, "l"});  // a daemon that job 1 has left
  const auto violations = check(history);
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations.front().rule, Rule::lock_overlap);
  EXPECT_EQ(violations.front().job_id, 2);
  EXPECT_THAT(violations.front().text, testing::HasSubstr("pid 77"));
}

TEST_F(TwoJobs, AnOverlapWithOneLongBeforeIsFound) {
  history.journal.push_back(
      {Sign::beat, 1, 1, 10, 510, "l"});  // a task that should be dead for two executions
  EXPECT_THAT(broken(history), ElementsAre(Rule::lock_overlap, Rule::lock_overlap, Rule::job_overlap));
}

TEST_F(TwoJobs, TwoRunningAttemptsOfAJobWithoutALockAreFound) {
  for (auto& job : history.jobs) job.lock.clear();
  for (auto& line : history.journal) line.lock.clear();
  history.journal.push_back({Sign::beat, 1, 1, 10, 310, ""});
  EXPECT_THAT(broken(history), ElementsAre(Rule::job_overlap));
}

TEST_F(TwoJobs, ExecutionsWithoutALockMayOverlap) {
  for (auto& job : history.jobs) job.lock.clear();
  for (auto& line : history.journal) line.lock.clear();
  history.journal[3].at_ns = 550;
  EXPECT_THAT(broken(history), IsEmpty());
}

TEST_F(TwoJobs, AnAttemptThatRanTwiceIsFound) {
  history.journal.push_back({Sign::start, 2, 1, 12, 700, "l"});
  EXPECT_THAT(broken(history), ElementsAre(Rule::ran_twice));
}

TEST_F(TwoJobs, AJobThatOvertookIsFound) {
  history.jobs[1].priority = 1;  // it should have been first
  EXPECT_THAT(broken(history), ElementsAre(Rule::out_of_order, Rule::out_of_order));
}

TEST_F(TwoJobs, WhatWasCommittedJustBeforeMayBeOvertaken) {
  history.jobs[1].priority = 1;
  history.events[1].committed_us = history.events[4].began_us - 1000;
  EXPECT_THAT(broken(history), IsEmpty());
}

TEST_F(TwoJobs, AJobThatWaitsForItsRetryIsNotOvertaken) {
  // The second job was started between the attempts of the first.
  history.events = {{1, 1, "deferred", 1, 2},
                    {2, 2, "deferred", 3, 4},
                    {3, 1, "started", 10'000'000, 10'000'001},
                    {4, 1, "deferred_for_retry", 20'000'000, 20'000'001},
                    {5, 2, "started", 30'000'000, 30'000'001},
                    {6, 2, "succeeded", 40'000'000, 40'000'001},
                    {7, 1, "started", 50'000'000, 50'000'001},
                    {8, 1, "succeeded", 60'000'000, 60'000'001}};
  history.journal = {{Sign::start, 1, 1, 10, 100, "l"},
                     {Sign::start, 2, 1, 11, 500, "l"},
                     {Sign::end, 2, 1, 11, 600, "l"},
                     {Sign::start, 1, 2, 11, 700, "l"},
                     {Sign::end, 1, 2, 11, 800, "l"}};
  EXPECT_THAT(broken(history), ElementsAre(Rule::out_of_order));
}

TEST_F(TwoJobs, TasksThatRanInAnotherOrderThanTheirJobsAreFound) {
  history.journal = {{Sign::start, 2, 1, 11, 100, "l"},
                     {Sign::end, 2, 1, 11, 200, "l"},
                     {Sign::start, 1, 1, 10, 300, "l"},
                     {Sign::start, 1, 2, 11, 400, "l"},
                     {Sign::end, 1, 2, 11, 500, "l"}};
  EXPECT_THAT(broken(history), ElementsAre(Rule::order_of_execution));
}

TEST_F(TwoJobs, ASuccessThatNobodyExecutedIsFound) {
  std::erase_if(history.journal, [](const JournalLine& line) { return line.job_id == 2; });
  EXPECT_THAT(broken(history), ElementsAre(Rule::unexecuted_outcome));
}

TEST_F(TwoJobs, ASuccessThatNeverGotToItsEndIsFound) {
  std::erase_if(history.journal,
                [](const JournalLine& line) { return line.job_id == 2 && line.sign == Sign::end; });
  EXPECT_THAT(broken(history), ElementsAre(Rule::unexecuted_outcome));
}

TEST_F(TwoJobs, AnExceptionThatNobodyThrewIsFound) {
  history.attempts[0].cause = "exception";
  std::erase_if(history.journal,
                [](const JournalLine& line) { return line.job_id == 1 && line.attempt == 1; });
  EXPECT_THAT(broken(history), ElementsAre(Rule::unexecuted_outcome));
}

TEST_F(TwoJobs, ALostWorkerNeedNotHaveStartedItsTask) {
  std::erase_if(history.journal,
                [](const JournalLine& line) { return line.job_id == 1 && line.attempt == 1; });
  EXPECT_THAT(broken(history), IsEmpty());
}

TEST_F(TwoJobs, AJobIsCancelledAsItRunsOnlyWhenItWasToBeAborted) {
  history.jobs.push_back({.id = 3, .status = "cancelled"});
  history.events.push_back({7, 3, "deferred", 1, 2});
  history.events.push_back({8, 3, "started", 3, 4});
  history.events.push_back({10, 3, "cancelled", 7, 8});
  EXPECT_THAT(broken(history), ElementsAre(Rule::events));
  history.events.insert(history.events.end() - 1, {9, 3, "abort_requested", 5, 6});
  EXPECT_THAT(broken(history), IsEmpty()) << "it was given back before it began";
}

TEST_F(TwoJobs, AnExecutionThatIsInNoTableIsFound) {
  history.journal.push_back({Sign::start, 2, 2, 12, 700, "l"});
  // Nor was its job started again, which the order of execution tells too.
  EXPECT_THAT(broken(history), ElementsAre(Rule::uncounted_execution, Rule::order_of_execution));
}

TEST_F(TwoJobs, AnExecutionOfAnUnknownJobIsFound) {
  history.journal.push_back({Sign::start, 9, 1, 12, 700, ""});
  EXPECT_THAT(broken(history), ElementsAre(Rule::uncounted_execution));
}

TEST_F(TwoJobs, AttemptsThatDoNotAddUpAreFound) {
  history.jobs[0].attempts = 3;
  // Then the last attempt is unknown too, and the success was not the last.
  EXPECT_THAT(broken(history), ElementsAre(Rule::attempts, Rule::attempts, Rule::status));
}

TEST_F(TwoJobs, AMissingAttemptIsFound) {
  history.attempts.erase(history.attempts.begin());
  EXPECT_THAT(broken(history), ElementsAre(Rule::uncounted_execution, Rule::attempts));
}

TEST_F(TwoJobs, AStatusThatTheLastAttemptDoesNotSayIsFound) {
  history.jobs[1].status = "failed";
  history.events.back().type = "failed";
  EXPECT_THAT(broken(history), ElementsAre(Rule::status));
}

TEST_F(TwoJobs, AnOutcomeThatWasRecordedTwiceIsFound) {
  history.events.push_back({9, 2, "succeeded", 90'000'000, 90'000'001});
  EXPECT_THAT(broken(history), ElementsAre(Rule::events));
}

TEST_F(TwoJobs, AStatusThatNoEventToldOfIsFound) {
  erase_events(8, 8);
  EXPECT_THAT(broken(history), ElementsAre(Rule::events));
}

TEST_F(TwoJobs, ASuccessWithoutItsFollowersIsFound) {
  history.jobs[0].followers = 2;
  history.jobs[1].parent = 1;
  EXPECT_THAT(broken(history), ElementsAre(Rule::followers));
}

TEST_F(TwoJobs, FollowersOfAFailureAreFound) {
  history.jobs[1].parent = 1;
  history.jobs[0].followers = 1;
  EXPECT_THAT(broken(history), IsEmpty());
  history.jobs[0].status = "failed";
  history.attempts[1].cause = "exception";
  history.events[5].type = "failed";
  EXPECT_THAT(broken(history), ElementsAre(Rule::followers));
}

TEST_F(TwoJobs, ASignOfLifeWithoutAStartIsFound) {
  history.journal.erase(history.journal.begin());
  EXPECT_THAT(broken(history), ElementsAre(Rule::stray_sign));
}

TEST(Journal, ALineIsReadAsItWasWritten) {
  const JournalLine line{Sign::beat, 17, 2, 4242, 123456789012, "kitchen"};
  EXPECT_EQ(parse_line("beat 17 2 4242 123456789012 kitchen"), line);
  EXPECT_TRUE(to_text(line).starts_with("beat 17 2 4242 123456789012 kitchen "));
  EXPECT_EQ(parse_line(to_text(line)), line);
  EXPECT_EQ(parse_line("start 1 1 1 1 -")->lock, "");
}

TEST(Journal, ALineNeverCrossesAPage) {
  EXPECT_EQ(4096 % kLineBytes, 0u);
  EXPECT_EQ(to_text({Sign::end, 1, 1, 1, 1, ""}).size(), kLineBytes);
  EXPECT_EQ(to_text({Sign::start, 123456789, 12, 4194304, 1234567890123456789, "lock5"}).size(), kLineBytes);
  EXPECT_THROW(to_text({Sign::start, 1, 1, 1, 1, std::string(kLineBytes, 'l')}), std::length_error);
}

TEST(Journal, WhatIsNoLineIsRefused) {
  for (const char* text :
       {"", "start", "start 1 1 1 1", "pause 1 1 1 1 -", "start 1 1 1 1 - more", "start x 1 1 1 -"})
    EXPECT_FALSE(parse_line(text)) << text;
}

}  // namespace
}  // namespace postpone::torture
