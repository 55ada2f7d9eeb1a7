// What a snapshot is judged to be: ready or not, and why.
#include <gmock/gmock.h>

#include "supervisor/status/judge.h"
#include "tests/unit/supervisor_status_fixture.h"

namespace postpone::supervisor::status {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

State state_of(const Snapshot& s) {
  return judge(s).state;
}

TEST(Judge, AllWellIsRunningAndReady) {
  const Judgement judgement = judge(all_well());
  EXPECT_EQ(judgement.state, State::running);
  EXPECT_THAT(judgement.reasons, IsEmpty());
  EXPECT_EQ(judgement.not_ready, "");
}

TEST(Judge, ThePreflightIsStartingAndNotReady) {
  Snapshot s = all_well();
  s.phase = Phase::preflight;
  EXPECT_EQ(state_of(s), State::starting);
  EXPECT_THAT(judge(s).not_ready, HasSubstr("schema and task executables are checked"));
}

TEST(Judge, WhoHasNotBeenReadyYetIsStarting) {
  Snapshot s = all_well();
  s.sub_workers[0].member.ready = s.sub_workers[0].member.was_ready = false;
  EXPECT_EQ(state_of(s), State::starting);
  EXPECT_EQ(judge(s).not_ready, "") << "the other one works";
}

TEST(Judge, OutcomesThatTheDatabaseRefusesDegradeForTenMinutes) {
  Snapshot s = all_well();
  s.sub_workers[1].unrecorded_ns = kNow - 599 * kSecond;
  EXPECT_EQ(judge(s).state, State::degraded);
  EXPECT_THAT(judge(s).reasons.at(0), HasSubstr("jobs of 1 sub-workers have ended: postpone stalled list"));
  EXPECT_EQ(judge(s).not_ready, "") << "others are run";
  s.sub_workers[1].unrecorded_ns = kNow - 601 * kSecond;
  EXPECT_EQ(judge(s).state, State::running);
}

TEST(Judge, OneThatIsReplacedIsNoReasonForAnything) {
  Snapshot s = all_well();
  s.sub_workers[0].member.ready = false;
  s.sub_workers[0].member.pid = 0;
  EXPECT_EQ(state_of(s), State::running);
}

TEST(Judge, AHousekeeperThatIsReplacedSaysNothingOfTheDatabase) {
  Snapshot s = all_well();
  s.housekeeper.member.pid = 0;
  s.housekeeper.member.ready = false;
  s.housekeeper.member.last_end = End{kNow, true, "exit status 0"};
  s.database.state = DatabaseState::unknown;
  EXPECT_EQ(state_of(s), State::running);
  EXPECT_EQ(judge(s).not_ready, "") << "sub-workers fetch without it";
  s.housekeeper.member.last_end->well = false;
  s.housekeeper.member.last_end->how = "signal 11 (Segmentation fault)";
  EXPECT_EQ(state_of(s), State::degraded);
  EXPECT_THAT(judge(s).reasons, ElementsAre(HasSubstr("housekeeper is not running (signal 11")));
}

TEST(Judge, AGroupThatNobodyServesIsNotReady) {
  Snapshot s = all_well();
  s.standing.unserved = "mail";
  EXPECT_EQ(judge(s).not_ready, "no sub-worker of group mail is ready");
}

TEST(Judge, DegradedSaysWhy) {
  Snapshot s = all_well();
  s.standing.failing = 1;
  s.database.state = DatabaseState::down;
  s.database.last_error = Trouble{kNow, "connection refused"};
  s.listen.state = ListenState::waiting;
  s.listen.last_error = Trouble{kNow, "no route"};
  s.database.heartbeat_ns = kNow - 25 * kSecond;
  const Judgement judgement = judge(s);
  EXPECT_EQ(judgement.state, State::degraded);
  EXPECT_THAT(judgement.reasons,
              ElementsAre("1 of 3 processes do not get ready; they are started again with growing waits",
                          "the database cannot be reached: connection refused",
                          "new jobs are not heard of, only polled for: no route",
                          "no heartbeat has reached the database for 25 s: running jobs are stopped"));
  EXPECT_EQ(judgement.not_ready, "the database cannot be reached: connection refused");
}

TEST(Judge, WithoutListenNobodyMissesIt) {
  Snapshot s = all_well();
  s.listen = {};
  EXPECT_EQ(state_of(s), State::running);
}

TEST(Judge, PausedAndDrainingAreNotReady) {
  Snapshot s = all_well();
  s.paused = true;
  EXPECT_EQ(state_of(s), State::paused);
  EXPECT_THAT(judge(s).not_ready, StartsWith("paused"));
  s.phase = Phase::draining;
  EXPECT_EQ(state_of(s), State::draining);
  EXPECT_THAT(judge(s).not_ready, StartsWith("draining"));
}

}  // namespace
}  // namespace postpone::supervisor::status
