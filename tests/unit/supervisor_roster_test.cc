#include "supervisor/crew/roster.h"

#include <gmock/gmock.h>

namespace postpone::supervisor {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using State = Roster::State;

constexpr double kLongest = 0x1.fffffffffffffp-1;  // the chance that makes a back-off wait its full length
constexpr RosterPolicy kPolicy{.start_deadline = 10s,
                               .silence_limit = 30s,
                               .housekeeper_silence_limit = 30s,
                               .backoff_first = 100ms,
                               .backoff_most = 1s};

// Two members, and a clock that moves when it is told to.
class RosterOfTwo : public testing::Test {
 protected:
  Clock::time_point after(Clock::duration time) const { return start_ + time; }

  void start_and_serve(MemberId member, Clock::duration time) {
    roster_.spawned(member, after(time));
    roster_.ready(member);
  }
  void start_and_die(MemberId member, Clock::duration time) {
    roster_.spawned(member, after(time));
    roster_.ended(member, after(time), kLongest);
  }
  // Who is overdue at `time`, when nobody has shown a heartbeat since `beat`.
  std::vector<MemberId> overdue(Clock::duration time, Clock::duration beat) const {
    std::vector<MemberId> members;
    for (const auto& found : roster_.to_kill(after(time), [&](MemberId) { return after(beat); }))
      members.push_back(found.member);
    return members;
  }

  Clock::time_point start_{1000h};
  Roster roster_{2, kPolicy, start_};
};

TEST_F(RosterOfTwo, EverybodyIsSpawnedAtFirst) {
  EXPECT_EQ(roster_.size(), 2U);
  EXPECT_EQ(roster_.state(0), State::absent);
  EXPECT_THAT(roster_.to_spawn(start_), ElementsAre(0, 1));
}

TEST_F(RosterOfTwo, WhoIsStartingOrServingIsNotSpawnedAgain) {
  roster_.spawned(0, start_);
  EXPECT_EQ(roster_.state(0), State::starting);
  EXPECT_THAT(roster_.to_spawn(after(1h)), ElementsAre(1));
  start_and_serve(1, 0s);
  EXPECT_EQ(roster_.state(1), State::serving);
  EXPECT_THAT(roster_.to_spawn(after(1h)), IsEmpty());
}

TEST_F(RosterOfTwo, WhoWasRefusedByTheDatabaseWaitsForSecondsEvenIfItHadServed) {
  start_and_serve(1, 0s);
  roster_.ended(1, after(1s), kLongest, Roster::End::refused);
  EXPECT_GE(roster_.spawn_at(1), after(2s));
  EXPECT_EQ(roster_.failing(), 1U);
}

TEST_F(RosterOfTwo, WhoEndsAsItWasToldHasNotFailed) {
  roster_.spawned(1, start_);
  roster_.ended(1, after(1s), kLongest, Roster::End::forgiven);
  EXPECT_EQ(roster_.failures(1), 0);
  EXPECT_EQ(roster_.spawn_at(1), after(1s));
}

TEST_F(RosterOfTwo, TheHousekeeperIsMissedSooner) {
  RosterPolicy policy = kPolicy;
  policy.housekeeper_silence_limit = 5s;
  roster_ = Roster(2, policy, start_);
  start_and_serve(0, 0s);
  start_and_serve(1, 0s);  // the last one
  EXPECT_THAT(overdue(5s, 0s), IsEmpty());
  EXPECT_THAT(overdue(6s, 0s), ElementsAre(1));
  EXPECT_THAT(overdue(31s, 0s), ElementsAre(0, 1));
}

TEST_F(RosterOfTwo, WhoServedIsReplacedAtOnce) {
  start_and_serve(0, 0s);
  start_and_serve(1, 0s);
  roster_.ended(1, after(5s), kLongest);
  EXPECT_THAT(roster_.to_spawn(after(5s)), ElementsAre(1));
}

TEST_F(RosterOfTwo, WhoDiesUnreadyWaitsLongerEachTime) {
  start_and_serve(1, 0s);
  Clock::duration time = 0s;
  for (const auto wait : {100ms, 200ms, 400ms, 800ms, 1000ms, 1000ms}) {
    start_and_die(0, time);
    EXPECT_THAT(roster_.to_spawn(after(time + wait - 1ms)), IsEmpty()) << wait.count();
    EXPECT_THAT(roster_.to_spawn(after(time + wait)), ElementsAre(0)) << wait.count();
    time += wait;
  }
  EXPECT_EQ(roster_.failing(), 1);
}

TEST_F(RosterOfTwo, ChanceShortensAWaitToItsHalfAtMost) {
  start_and_serve(1, 0s);
  roster_.spawned(0, start_);
  roster_.ended(0, start_, 0);
  EXPECT_THAT(roster_.to_spawn(after(49ms)), IsEmpty());
  EXPECT_THAT(roster_.to_spawn(after(50ms)), ElementsAre(0));
}

TEST_F(RosterOfTwo, OneGoodStartForgetsTheBadOnes) {
  start_and_serve(1, 0s);
  start_and_die(0, 0s);
  start_and_die(0, 1s);
  start_and_serve(0, 2s);
  EXPECT_EQ(roster_.failing(), 0);
  roster_.ended(0, after(3s), kLongest);
  start_and_die(0, 3s);
  EXPECT_THAT(roster_.to_spawn(after(3s + 100ms)), ElementsAre(0));
}

TEST_F(RosterOfTwo, BackOffOfOneDoesNotDelayTheOther) {
  start_and_die(0, 0s);
  EXPECT_THAT(roster_.to_spawn(start_), ElementsAre(1));
}

TEST_F(RosterOfTwo, WhoOnlyWaitsForTheDatabaseHasAllTheTimeItTakes) {
  start_and_serve(1, 0s);
  roster_.spawned(0, start_);
  roster_.started(0);
  EXPECT_THAT(overdue(1h, 1h), IsEmpty());
  EXPECT_EQ(roster_.next_deadline(), std::nullopt);
  EXPECT_EQ(roster_.state(0), State::starting) << "and its death counts as one before it was ready";
  start_and_die(0, 2h);
  roster_.spawned(0, after(3h));
  EXPECT_THAT(overdue(3h + 11s, 3h + 11s), ElementsAre(0)) << "the next one has to say so itself";
}

TEST_F(RosterOfTwo, WhoIsNotReadyByTheDeadlineIsKilled) {
  roster_.spawned(0, start_);
  start_and_serve(1, 0s);
  EXPECT_THAT(overdue(10s, 10s), IsEmpty());
  EXPECT_THAT(overdue(10s + 1ms, 10s), ElementsAre(0));
  const auto found = roster_.to_kill(after(11s), [&](MemberId) { return after(11s); });
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].why, "not ready after 11000 ms");
}

TEST_F(RosterOfTwo, WhoIsSilentForTooLongIsKilled) {
  start_and_serve(0, 0s);
  start_and_serve(1, 0s);
  const auto beats = [&](MemberId member) { return after(member == 0 ? 60s : 70s); };
  EXPECT_THAT(roster_.to_kill(after(90s), beats), IsEmpty());
  const auto found = roster_.to_kill(after(91s), beats);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].member, 0U);
  EXPECT_EQ(found[0].why, "no sign of life for 31000 ms");
}

TEST_F(RosterOfTwo, HeartbeatOfTheIncarnationBeforeDoesNotCount) {
  start_and_serve(0, 100s);
  EXPECT_THAT(overdue(101s, 0s), IsEmpty());
  EXPECT_THAT(overdue(130s + 1ms, 0s), ElementsAre(0));
}

TEST_F(RosterOfTwo, TheAbsentAreNotKilled) {
  EXPECT_THAT(overdue(24h, 0s), IsEmpty());
}

TEST_F(RosterOfTwo, LeaseIsForgottenWithItsIncarnation) {
  start_and_serve(0, 0s);
  roster_.leased(0, 77);
  EXPECT_EQ(roster_.lease(0), 77);
  roster_.ended(0, after(1s), kLongest);
  EXPECT_EQ(roster_.lease(0), 0);
}

TEST_F(RosterOfTwo, LateWordOfTheDeadDoesNotMakeAnyoneServe) {
  roster_.ready(0);
  EXPECT_EQ(roster_.state(0), State::absent);
}

TEST_F(RosterOfTwo, NoUnwantedMemberIsSpawned) {
  start_and_serve(0, 0s);
  for (MemberId member = 0; member < roster_.size(); ++member) roster_.unwant(member);
  roster_.ended(0, after(1s), kLongest);
  EXPECT_THAT(roster_.to_spawn(after(1h)), IsEmpty());
  EXPECT_EQ(roster_.next_deadline(), std::nullopt);
}

TEST_F(RosterOfTwo, OneMayBeUnwantedAndTheOtherWanted) {
  roster_.unwant(0);
  EXPECT_THAT(roster_.to_spawn(after(1h)), ElementsAre(1));
}

TEST_F(RosterOfTwo, UnwantedMembersAreStillWatched) {
  start_and_serve(0, 0s);
  for (MemberId member = 0; member < roster_.size(); ++member) roster_.unwant(member);
  EXPECT_THAT(overdue(31s, 0s), ElementsAre(0));
}

TEST_F(RosterOfTwo, OneThatHadServedCanBeHeldBackForAMoment) {
  start_and_serve(0, 0s);
  start_and_serve(1, 0s);
  roster_.ended(0, after(1s), kLongest);
  roster_.hold_back(0, after(1010ms));
  EXPECT_THAT(roster_.to_spawn(after(1s)), IsEmpty());
  EXPECT_EQ(roster_.next_deadline(), after(1010ms));
  EXPECT_THAT(roster_.to_spawn(after(1010ms)), ElementsAre(0));
  roster_.hold_back(0, after(500ms));
  EXPECT_EQ(roster_.next_deadline(), after(1010ms)) << "it does not come sooner by that";
}

TEST_F(RosterOfTwo, NextDeadlineIsTheEarliestSpawnOrStart) {
  EXPECT_EQ(roster_.next_deadline(), start_);  // both are to be spawned now
  start_and_die(0, 0s);                        // again after 100 ms
  roster_.spawned(1, start_);                  // ready within 10 s
  EXPECT_EQ(roster_.next_deadline(), after(100ms));
  start_and_serve(0, 100ms);
  EXPECT_EQ(roster_.next_deadline(), after(10s));
  roster_.ready(1);
  EXPECT_EQ(roster_.next_deadline(), std::nullopt);
}

}  // namespace
}  // namespace postpone::supervisor
