#include "subworker/worker/unrecorded.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postpone::subworker {
namespace {

using testing::HasSubstr;
using testing::Not;

sql::Outcome outcome_of(sql::Action action) {
  sql::Outcome outcome;
  outcome.job_id = 17;
  outcome.attempt = 2;
  outcome.action = action;
  outcome.cause = action == sql::Action::succeed ? sql::Cause::succeeded : sql::Cause::exception;
  return outcome;
}

TEST(AnUnrecordedOutcome, KeepsItsActionWhenOnlyItsDecorationIsRefused) {
  sql::Outcome retry = outcome_of(sql::Action::retry);
  retry.message = "\u2192 not yet";
  retry.stderr_tail = "\u2713 done\n";
  retry.delete_job = true;
  Unrecorded unrecorded(retry);
  unrecorded.lower("no such character");
  EXPECT_EQ(unrecorded.outcome().action, sql::Action::retry);
  EXPECT_EQ(unrecorded.outcome().message, "??? not yet");
  EXPECT_EQ(unrecorded.outcome().stderr_tail, "??? done\n");
  EXPECT_THAT(unrecorded.sent().as_text(), Not(HasSubstr("delete_job")));
}

// It is kept in a table of its own, whose troubles must not cost the outcome.
TEST(AnUnrecordedOutcome, GoesWithoutItsProgressWhenItIsRefused) {
  sql::Outcome success = outcome_of(sql::Action::succeed);
  success.progress = sql::Progress{1, 2, ""};
  Unrecorded unrecorded(success);
  unrecorded.lower("the table of results is gone");
  EXPECT_EQ(unrecorded.outcome().action, sql::Action::succeed);
  EXPECT_EQ(unrecorded.outcome().progress, std::nullopt);
  EXPECT_THAT(unrecorded.sent().as_text(), Not(HasSubstr("progress")));
  EXPECT_FALSE(unrecorded.sent().left_to_people);
}

TEST(AnUnrecordedOutcome, FailsWhenWhatItAsksForIsRefused) {
  sql::Outcome success = outcome_of(sql::Action::succeed);
  success.defers.emplace_back().task = "nowhere";
  Unrecorded unrecorded(success);
  unrecorded.lower("no such queue");
  EXPECT_EQ(unrecorded.outcome().action, sql::Action::fail);
  EXPECT_EQ(unrecorded.outcome().message, "the database refused what the job asked for: no such queue");
  unrecorded.lower("not that either");
  EXPECT_TRUE(unrecorded.sent().left_to_people);
  EXPECT_EQ(unrecorded.sent().why, "not that either");
}

TEST(AnUnrecordedOutcome, OfABareSuccessNeverBecomesAFailure) {
  Unrecorded unrecorded(outcome_of(sql::Action::succeed));
  unrecorded.lower("a trigger says no");
  EXPECT_EQ(unrecorded.outcome().action, sql::Action::succeed);
  EXPECT_TRUE(unrecorded.sent().left_to_people);
}

TEST(AnUnrecordedOutcome, ThatReleasesSaysSo) {
  EXPECT_TRUE(Unrecorded(outcome_of(sql::Action::release)).sent().releases);
  EXPECT_FALSE(Unrecorded(outcome_of(sql::Action::succeed)).sent().releases);
}

}  // namespace
}  // namespace postpone::subworker
