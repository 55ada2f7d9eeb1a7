// What the rescuer decides before it asks the database: what a grave says, who counts as silent, and when
// that is tried again which could not be settled.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string_view>

#include "subworker/housekeeper/cares.h"
#include "subworker/housekeeper/remains.h"
#include "subworker/housekeeper/silence.h"
#include "tests/unit/start_time.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

// --- graves ---

class AGrave : public testing::Test {
 protected:
  void put(std::size_t place, board::JobPhase phase, sql::JobId job, std::string_view outcome = "") {
    board::JobEntry& entry = grave_.jobs[place];
    entry.job_id.store(job);
    board::write_outcome(entry, grave_.outcomes, static_cast<std::uint32_t>(place) * 1000, outcome);
    entry.phase.store(phase);
  }

  board::Board board_ = board::Board::create(1, 1);
  board::Grave& grave_ = board_.grave(0);
};

TEST_F(AGrave, SaysWhatHasEndedAndWhatWasRunning) {
  put(0, board::JobPhase::ended, 1, "{one}");
  put(1, board::JobPhase::fetched, 2);
  put(2, board::JobPhase::running, 3);
  put(4, board::JobPhase::ended, 5, "{five}");
  const Remains remains = remains_in(grave_);
  EXPECT_THAT(remains.outcomes, ElementsAre("{one}", "{five}"));
  EXPECT_THAT(remains.ended, ElementsAre(1, 5));
  EXPECT_THAT(remains.running, ElementsAre(3));
  EXPECT_THAT(remains.all(), ElementsAre(1, 5, 3)) << "what was held was never started";
}

TEST_F(AGrave, MakesAnOutcomeOfAPlainSuccess) {
  put(0, board::JobPhase::succeeded, 7);
  board::Success& success = grave_.jobs[0].success;
  success.attempt = 3;
  success.deletes_job = 1;
  success.omits_attempt = 1;
  success.run_ns = 2'000'000;
  success.cpu_us = 1500;
  success.max_rss_bytes = 4096;
  sql::Outcome outcome;
  outcome.job_id = 7;
  outcome.attempt = 3;
  outcome.action = sql::Action::succeed;
  outcome.delete_job = true;
  outcome.omit_attempt = true;
  outcome.run_time = sql::Seconds(0.002);
  outcome.cpu_time = sql::Seconds(0.0015);
  outcome.max_rss_bytes = 4096;
  EXPECT_THAT(remains_in(grave_).outcomes, ElementsAre(sql::to_json(outcome)));
  EXPECT_THAT(remains_in(grave_).ended, ElementsAre(7));
  EXPECT_THAT(remains_in(grave_).running, IsEmpty());
}

TEST_F(AGrave, CountsAnOutcomeThatDidNotFitAsRunning) {
  put(0, board::JobPhase::ended, 1);
  EXPECT_THAT(remains_in(grave_).running, ElementsAre(1));
  EXPECT_THAT(remains_in(grave_).outcomes, IsEmpty());
}

TEST_F(AGrave, ThatWasWrittenOverIsNotReadBeyondItsEnd) {
  put(0, board::JobPhase::ended, 1, "{one}");
  grave_.jobs[0].outcome_bytes.store(~0U);
  EXPECT_THAT(remains_in(grave_).outcomes, IsEmpty());
  EXPECT_THAT(remains_in(grave_).running, ElementsAre(1));
  grave_.jobs[0].outcome_bytes.store(5);
  grave_.jobs[0].outcome_at.store(board::kOutcomeRoom - 4);
  EXPECT_THAT(remains_in(grave_).outcomes, IsEmpty());
}

// --- silence ---

// A stalled_after of 10 s, a heartbeat every second.
class TheSilence : public testing::Test {
 protected:
  TheSilence() { silence_.connected(at(0s)); }
  static Silence::Clock::time_point at(std::chrono::milliseconds time) {
    return Silence::Clock::time_point(1h) + time;
  }
  // Our own heartbeats, each second, in this time.
  void beat(std::chrono::seconds from, std::chrono::seconds to) {
    for (auto time = from; time <= to; time += 1s) silence_.heartbeat_stored(at(time));
  }
  static config::Supervisor config() {
    config::Supervisor config;
    config.stalled_after = 10s;
    config.heartbeat_interval = 1s;
    return config;
  }

  Silence silence_{config()};
};

TEST_F(TheSilence, IsNotJudgedBeforeOurConnectionWasGoodForLongEnough) {
  beat(0s, 9s);
  EXPECT_FALSE(silence_.may_judge({}, at(9900ms)));
  EXPECT_TRUE(silence_.may_judge({}, at(10s)));
}

TEST_F(TheSilence, IsNotJudgedByAHousekeeperThatCouldNotBeHeardItself) {
  beat(0s, 10s);
  EXPECT_TRUE(silence_.may_judge({}, at(19s)));
  EXPECT_FALSE(silence_.may_judge({}, at(20s))) << "our last heartbeat is as old as one may be";
  silence_.heartbeat_stored(at(20s));
  EXPECT_FALSE(silence_.may_judge({}, at(29s))) << "those that beat as we do were unheard as long as we were";
  beat(21s, 30s);
  EXPECT_TRUE(silence_.may_judge({}, at(30s)));
}

TEST_F(TheSilence, OfAJobWithoutAWorkerCountsFromWhenWeSawIt) {
  beat(0s, 20s);
  EXPECT_FALSE(silence_.may_judge(at(15s), at(20s)));
  beat(21s, 25s);
  EXPECT_TRUE(silence_.may_judge(at(15s), at(25s)));
}

TEST_F(TheSilence, OfAWorkerIsMeasuredByOurOwnClock) {
  silence_.heard({{7, 1'000'000}}, at(0s));
  EXPECT_FALSE(silence_.is_silent(7, at(9s)));
  silence_.heard({{7, 1'000'000}}, at(9s));
  EXPECT_TRUE(silence_.is_silent(7, at(10s)));
}

TEST_F(TheSilence, EndsWithAnotherHeartbeatWhateverTimeItBears) {
  silence_.heard({{7, 1'000'000}}, at(0s));
  silence_.heard({{7, 500'000}}, at(9s));  // the server's clock was set back
  EXPECT_FALSE(silence_.is_silent(7, at(18s)));
  EXPECT_TRUE(silence_.is_silent(7, at(19s)));
}

TEST_F(TheSilence, OfAWorkerThatWasNeverHeardOfProvesNothing) {
  silence_.heard({{7, 1'000'000}}, at(0s));
  EXPECT_FALSE(silence_.is_silent(8, at(1h)));
  silence_.heard({}, at(20s));
  EXPECT_FALSE(silence_.is_silent(7, at(1h))) << "its row is gone";
}

// --- what could not be settled ---

const sql::DatabaseError kRefused(sql::Remedy::bug, "a trigger says no", "P0001");
const sql::DatabaseError kTooLate(sql::Remedy::wait, "canceling statement due to statement timeout", "57014");
TEST(TheCares, TryAtOnceWhatHasNotFailed) {
  const Cares cares;
  EXPECT_TRUE(cares.may_try(7, kStart));
  EXPECT_EQ(cares.refusals(7), 0);
  EXPECT_EQ(cares.next(), Cares::Clock::time_point::max());
}

TEST(TheCares, WaitLongerAfterEachFailureAndForThatOneOnly) {
  Cares cares;
  cares.failed(7, kRefused, kStart, 0.5);
  const auto first = cares.next() - kStart;
  EXPECT_FALSE(cares.may_try(7, kStart));
  EXPECT_TRUE(cares.may_try(8, kStart));
  EXPECT_TRUE(cares.may_try(7, kStart + first));
  cares.failed(7, kRefused, kStart, 0.5);
  EXPECT_GT(cares.next() - kStart, first);
}

TEST(TheCares, CountWhatTheDatabaseRefusesAndNotThatItIsLate) {
  Cares cares;
  EXPECT_TRUE(cares.failed(7, kRefused, kStart, 0.5).is_refused);
  EXPECT_FALSE(cares.failed(7, kTooLate, kStart, 0.5).is_refused);
  EXPECT_EQ(cares.refusals(7), 1);
}

TEST(TheCares, SayEachReasonOnceInARow) {
  Cares cares;
  EXPECT_TRUE(cares.failed(7, kRefused, kStart, 0.5).is_news);
  EXPECT_FALSE(cares.failed(7, kRefused, kStart, 0.5).is_news);
  EXPECT_TRUE(cares.failed(7, kTooLate, kStart, 0.5).is_news);
  EXPECT_EQ(cares.said(7), kTooLate.what());
}

TEST(TheCares, ForgetWhatIsSettledOrNotWantedAnyMore) {
  Cares cares;
  for (const Cares::Id id : {7, 8, 9}) cares.failed(id, kRefused, kStart, 0.5);
  cares.settled(7);
  cares.keep_only([](Cares::Id id) { return id == 8; });
  EXPECT_TRUE(cares.may_try(7, kStart));
  EXPECT_FALSE(cares.may_try(8, kStart));
  EXPECT_EQ(cares.refusals(9), 0);
}

}  // namespace
}  // namespace postpone::subworker
