#include "subworker/worker/job_run.h"

#include <gtest/gtest.h>

#include "subworker/task/outcome.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using board::JobPhase;

class AJobRun : public testing::Test {
 protected:
  AJobRun() {
    board_.reset_slot(0, 0);
    job_.id = 17;
    job_.task = "dishes.wash";
    job_.queue = "kitchen";
  }
  sql::Outcome outcome(sql::Action action) const {
    sql::Outcome outcome = given_back(job_);
    outcome.action = action;
    return outcome;
  }
  JobPhase phase() const { return slot_.jobs[0].phase.load(); }
  // The job that people see running; 0 = none.
  std::int64_t shown() const { return slot_.telemetry.job.read().value().job_id; }

  sql::Job job_;
  board::Board board_ = board::Board::create(1, 1);
  board::Slot& slot_ = board_.slot(0);
  Reporter reporter_{board_.header(), slot_, "kitchen/0"};
  HeldJobs held_{slot_};
};

TEST_F(AJobRun, IsAnnouncedStepByStep) {
  JobRun run(held_.hold(job_, {}), held_, slot_, reporter_);
  EXPECT_EQ(slot_.state.load(), board::SlotState::running);
  EXPECT_EQ(phase(), JobPhase::fetched);
  EXPECT_EQ(shown(), 0);
  run.begins(1s);
  EXPECT_EQ(phase(), JobPhase::running);
  EXPECT_EQ(shown(), 17);
  run.progresses({3, 10, "soaping"});
  EXPECT_EQ(slot_.telemetry.progress.read().value().done, 3U);
  EXPECT_EQ(slot_.telemetry.progress.read().value().note.view(), "soaping");
  run.ends(outcome(sql::Action::succeed));
  EXPECT_EQ(phase(), JobPhase::ended);
  EXPECT_EQ(shown(), 0);
  EXPECT_EQ(slot_.counters.succeeded.load(), 1U);
}

TEST_F(AJobRun, ThatIsGivenBackIsHeldUntilTheDatabaseKnowsAndCountsForNothing) {
  JobRun run(held_.hold(job_, {}), held_, slot_, reporter_);
  run.ends(outcome(sql::Action::release));
  EXPECT_EQ(phase(), JobPhase::fetched) << "which after a death means the same";
  EXPECT_TRUE(held_.has_unrecorded());
  EXPECT_EQ(slot_.counters.retried.load() + slot_.counters.failed.load() + slot_.counters.succeeded.load(),
            0U);
}

TEST_F(AJobRun, ThatIsTakenAwayLeavesNothingToRecord) {
  JobRun run(held_.hold(job_, {}), held_, slot_, reporter_);
  run.begins(0s);
  run.is_taken_away(outcome(sql::Action::abort));
  EXPECT_EQ(phase(), JobPhase::none);
  EXPECT_EQ(shown(), 0);
  EXPECT_FALSE(held_.has_unrecorded());
  EXPECT_EQ(slot_.telemetry.aborted.load(), 1U) << "people see it all the same";
}

}  // namespace
}  // namespace postpone::subworker
