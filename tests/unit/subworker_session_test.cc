// What a session does about an error, and how far it trusts its lease. That it carries this out over a real
// connection is for tests/integration/visit_test.cc and the tests in faults/.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "subworker/worker/lease.h"
#include "subworker/worker/session.h"
#include "subworker/worker/visit_plan.h"
#include "tests/unit/start_time.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using Next = VisitPlan::Next;
using Way = VisitPlan::Way;

SentOutcome outcome_of(sql::JobId id) {
  return {.job_id = id, .text = "{\"job\":" + std::to_string(id) + "}", .why = {}};
}
SentOutcome release_of(sql::JobId id) {
  SentOutcome outcome = outcome_of(id);
  outcome.releases = true;
  return outcome;
}
SentOutcome left_to_people(sql::JobId id) {
  SentOutcome outcome = outcome_of(id);
  outcome.left_to_people = true;
  outcome.why = "never";
  return outcome;
}

sql::DatabaseError error_of(const std::string& sqlstate, const std::string& constraint = "") {
  return {sql::remedy_for(sqlstate, constraint), "no (" + sqlstate + ")", sqlstate, constraint};
}
const sql::DatabaseError kBroken = error_of("");
const sql::DatabaseError kCheckViolation = error_of("23514", "their_check");
const sql::DatabaseError kRaised = error_of("P0001");
const sql::DatabaseError kNoSuchFunction = error_of("42883");
const sql::DatabaseError kDeadlock = error_of("40P01");

VisitPlan::At fetching() {
  return {.asked_for = 1};
}
VisitPlan::At recording() {
  return {.asked_for = 0};
}
VisitPlan::At settling() {
  return {.lease_is_doubtful = true, .asked_for = 1};
}

// --- lost connections ---

TEST(ALostAnswer, ToAFetchMakesTheLeaseDoubtful) {
  EXPECT_EQ(VisitPlan({}, {1}).after(kBroken, fetching(), kStart), Next::reconnect_in_doubt);
}

TEST(ALostAnswer, ToAReleaseDoesToo) {
  EXPECT_EQ(VisitPlan({release_of(1)}, {0}).after(kBroken, recording(), kStart), Next::reconnect_in_doubt);
}

TEST(ALostAnswer, ToAnOutcomeDoesNot) {
  EXPECT_EQ(VisitPlan({outcome_of(1)}, {0}).after(kBroken, recording(), kStart), Next::reconnect)
      << "it is sent again, and the database recognises it";
}

TEST(ALostAnswer, IsNoneBeforeThereIsAConnectionOrALease) {
  EXPECT_EQ(VisitPlan({}, {1}).after(kBroken, {.connected = false, .asked_for = 1}, kStart), Next::reconnect);
  EXPECT_EQ(VisitPlan({}, {1}).after(kBroken, {.has_lease = false, .asked_for = 1}, kStart), Next::reconnect);
}

TEST(ALostConnection, OfWhichTheServerHasToldLeavesNoDoubt) {
  const auto read_only = error_of("25006");
  EXPECT_EQ(VisitPlan({}, {1}).after(read_only, fetching(), kStart), Next::reconnect);
}

TEST(AServerThatCannotNow, IsAskedAgain) {
  EXPECT_EQ(VisitPlan({outcome_of(1)}, {1}).after(error_of("53100"), fetching(), kStart), Next::wait);
}

// --- conflicts ---

TEST(AConflictWithOthers, IsTriedAgainNineTimesAndThenTakenForAnyOtherError) {
  VisitPlan plan({outcome_of(1)}, {0});
  for (int i = 0; i < 9; ++i) {
    EXPECT_EQ(plan.after(kDeadlock, recording(), kStart), Next::again);
    EXPECT_FALSE(plan.blames_the_outcome(kDeadlock));
  }
  EXPECT_EQ(plan.after(kDeadlock, recording(), kStart), Next::say_and_again);
  EXPECT_TRUE(plan.blames_the_outcome(kDeadlock));
}

// --- refusals ---

TEST(ARefusedVisit, RecordsFirstThenOneByOne) {
  VisitPlan plan({outcome_of(1), outcome_of(2)}, {1});
  EXPECT_EQ(plan.after(kCheckViolation, fetching(), kStart), Next::again);
  EXPECT_EQ(plan.way(), Way::record_first) << "outcomes or fetch: which is at fault?";
  EXPECT_EQ(plan.after(kCheckViolation, fetching(), kStart), Next::again);
  EXPECT_EQ(plan.way(), Way::one_by_one);
}

TEST(ARefusedVisit, WhoseOutcomesAreRecordedFetchesPastWhatIsRefused) {
  VisitPlan plan({outcome_of(1)}, {1});
  plan.after(kRaised, fetching(), kStart);
  plan.left.clear();  // they were recorded first
  EXPECT_EQ(plan.after(kRaised, fetching(), kStart), Next::again);
  EXPECT_EQ(plan.way(), Way::fetch_past_refused);
  EXPECT_EQ(plan.fetch_error(), kRaised.what());
}

TEST(ARefusedFetch, ThatIsRefusedInSmallStepsTooGoesToTheCaller) {
  VisitPlan plan({}, {1});
  plan.after(kNoSuchFunction, fetching(), kStart);
  EXPECT_EQ(plan.way(), Way::fetch_past_refused);
  EXPECT_EQ(plan.after(kNoSuchFunction, fetching(), kStart), Next::fail);
}

TEST(ARefusedOutcome, IsBelievedAtOnceWhenTheErrorNamesTheData) {
  VisitPlan plan({outcome_of(1)}, {0});
  plan.after(kCheckViolation, recording(), kStart);
  EXPECT_EQ(plan.way(), Way::one_by_one);
}

TEST(ARefusedOutcome, ThatATriggerRaisesIsBelievedAfterSixTries) {
  VisitPlan plan({outcome_of(1)}, {0});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(plan.after(kRaised, recording(), kStart), Next::say_and_again);
  plan.after(kRaised, recording(), kStart);
  EXPECT_EQ(plan.way(), Way::one_by_one);
}

TEST(ARefusedOutcome, ForWhatMayBeInstalledMeanwhileIsBelievedAfterHalfAMinute) {
  VisitPlan plan({outcome_of(1)}, {0});
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(plan.after(kNoSuchFunction, recording(), kStart + i * 1s), Next::say_and_again);
  EXPECT_EQ(plan.way(), Way::together);
  plan.after(kNoSuchFunction, recording(), kStart + 30s);
  EXPECT_EQ(plan.way(), Way::one_by_one);
}

TEST(ARefusedOutcome, IsNotAtFaultForARefusedLogin) {
  VisitPlan plan({outcome_of(1)}, {0});
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(plan.after(error_of("28P01"), {.connected = false}, kStart + i * 10s), Next::say_and_again);
}

TEST(ARefusedOutcome, SentAloneIsAtFaultUnlessItIsTheServerOrTheLease) {
  const VisitPlan plan({outcome_of(1)}, {0});
  EXPECT_TRUE(plan.blames_the_outcome(kRaised));
  EXPECT_FALSE(plan.blames_the_outcome(kBroken));
  EXPECT_FALSE(plan.blames_the_outcome(error_of("53100")));
}

// --- a doubtful lease ---

TEST(ADoubtfulLease, IsSettledWithWhatIsKnown) {
  const VisitPlan plan({outcome_of(1), left_to_people(2)}, {1});
  const sql::RescueRequest rescue = plan.rescue_of(7);
  EXPECT_EQ(rescue.worker_id, 7);
  EXPECT_THAT(rescue.outcomes, ElementsAre(outcome_of(1).text));
  EXPECT_THAT(rescue.running.value(), ElementsAre(2));
  EXPECT_EQ(rescue.action, sql::StalledAction::report);
  EXPECT_THAT(rescue.message, testing::EndsWith("never"));
}

TEST(ADoubtfulLease, WithoutAnythingLeftToPeoplePutsUnknownJobsBack) {
  const sql::RescueRequest rescue = VisitPlan({outcome_of(1)}, {1}).rescue_of(7);
  EXPECT_THAT(rescue.running.value(), IsEmpty()) << "nothing runs";
  EXPECT_EQ(rescue.action, sql::StalledAction::retry);
}

TEST(ADoubtfulLease, ThatWasRescuedBeforeSendsWhatThatDidNotDecide) {
  VisitPlan plan({outcome_of(1), outcome_of(2), left_to_people(3)}, {1});
  plan.answer.recorded.push_back({1, sql::Disposition::recorded, {}, sql::JobStatus::succeeded});
  EXPECT_THAT(plan.undecided(), ElementsAre(outcome_of(2).text));
  ASSERT_THAT(plan.answer.recorded, SizeIs(2));
  EXPECT_EQ(plan.answer.recorded[1].job_id, 3);
  EXPECT_EQ(plan.answer.recorded[1].disposition, sql::Disposition::gone);
}

TEST(ADoubtfulLease, ThatIsRefusedWithItsOutcomesRecordsThemOneByOneFirst) {
  VisitPlan plan({outcome_of(1), outcome_of(2), left_to_people(3)}, {1});
  EXPECT_EQ(plan.after(kCheckViolation, settling(), kStart), Next::again);
  EXPECT_EQ(plan.way(), Way::one_by_one) << "one of them is at fault, perhaps";
  EXPECT_THAT(plan.answer.refused, IsEmpty());
}

TEST(ADoubtfulLease, ThatIsRefusedEvenThenHandsThemBack) {
  VisitPlan plan({outcome_of(1), left_to_people(2)}, {1});
  plan.after(kCheckViolation, settling(), kStart);
  EXPECT_EQ(plan.after(kCheckViolation, settling(), kStart), Next::hand_back);
  ASSERT_THAT(plan.answer.refused, SizeIs(1));
  EXPECT_EQ(plan.answer.refused[0].job_id, 1);
}

TEST(ADoubtfulLease, WhoseJobsAreAllLeftToPeopleIsAbandoned) {
  VisitPlan plan({left_to_people(2)}, {0});
  plan.after(kCheckViolation, settling(), kStart);
  EXPECT_EQ(plan.after(kCheckViolation, settling(), kStart), Next::abandon_lease);
  plan.report_all();
  EXPECT_FALSE(plan.is_pending());
  ASSERT_THAT(plan.answer.recorded, SizeIs(1));
  EXPECT_EQ(plan.answer.recorded[0].disposition, sql::Disposition::reported);
}

TEST(ADoubtfulLease, InConflictWithOthersIsTriedForEver) {
  VisitPlan plan({outcome_of(1)}, {1});
  for (int i = 0; i < 9; ++i) plan.after(kDeadlock, settling(), kStart);
  EXPECT_EQ(plan.after(kDeadlock, settling(), kStart), Next::say_and_again);
}

// It would cost an idle sub-worker its connection each second.
TEST(ASession, AsksNobodyForAPermitToStoreProgress) {
  board::Board board = board::Board::create(2, 1);
  board.reset_slot(0, 0);
  board.reset_slot(1, 0);
  const auto permit = board::Permit::try_take(board, 1, 1);
  ASSERT_TRUE(permit);
  board.slot(1).enter(board::SlotState::idle);
  const config::Config config;
  const config::Group group;
  Session session(config, group, board,
                  {.supervisor = "s:1:0", .host = "host", .name = "q/0", .generation = 1, .cgroup = {}},
                  {.on_tick = [] {}, .gives_up = [](bool) { return false; }, .on_lease = [](auto) {}});
  EXPECT_FALSE(session.store_progress({.job_id = 1, .attempt = 1, .progress = {}}));
  EXPECT_FALSE(board.slot(1).doorbell.is_rung());
}

TEST(ALease, IsTrustedUntilThereIsDoubt) {
  Lease lease;
  EXPECT_FALSE(lease.is_trusted());
  lease.taken(7, 100);
  EXPECT_TRUE(lease.is_trusted());
  lease.doubt();
  EXPECT_FALSE(lease.is_trusted());
  EXPECT_TRUE(lease.is_held()) << "it is to be settled";
  lease.ended();
  EXPECT_FALSE(lease.is_held());
  EXPECT_FALSE(lease.is_doubtful());
}

TEST(ALease, OutOfSightIsRenewedBeforeItIsReliedOn) {
  Lease lease;
  lease.taken(7, 100);
  lease.trouble();
  EXPECT_TRUE(lease.is_out_of_sight());
  lease.renewed(200);
  lease.in_sight();
  EXPECT_FALSE(lease.is_out_of_sight());
  EXPECT_EQ(lease.since_ns(), 200);
}

}  // namespace
}  // namespace postpone::subworker
