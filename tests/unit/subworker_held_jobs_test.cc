#include "subworker/worker/held_jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace postpone::subworker {
namespace {

using board::JobPhase;
using testing::SizeIs;

sql::Job job_of(sql::JobId id) {
  sql::Job job;
  job.id = id;
  return job;
}

sql::Outcome success_of(sql::JobId id) {
  sql::Outcome outcome;
  outcome.job_id = id;
  outcome.attempt = 1;
  outcome.action = sql::Action::succeed;
  return outcome;
}

class TheHeldJobs : public testing::Test {
 protected:
  TheHeldJobs() { board_.reset_slot(0, 0); }
  // The entry of this job on the board; null when no entry in use names it.
  const board::JobEntry* entry_of(sql::JobId id) const {
    for (const board::JobEntry& entry : slot_.jobs)
      if (entry.phase.load() != JobPhase::none && entry.job_id.load() == id) return &entry;
    return nullptr;
  }
  JobPhase phase_of(sql::JobId id) const {
    const auto* entry = entry_of(id);
    return entry ? entry->phase.load() : JobPhase::none;
  }
  std::string_view text_in(const board::JobEntry& entry) const {
    return board::outcome_of(entry, slot_.outcomes);
  }

  board::Board board_ = board::Board::create(1, 1);
  board::Slot& slot_ = board_.slot(0);
  HeldJobs held_{slot_};
};

TEST_F(TheHeldJobs, StandOnTheBoardFromTheirFetchToTheAnswerOfTheDatabase) {
  HeldJob& held = held_.hold(job_of(17), {});
  EXPECT_EQ(phase_of(17), JobPhase::fetched);
  held_.begins(held);
  EXPECT_EQ(phase_of(17), JobPhase::running);
  EXPECT_EQ(slot_.runs.load(), 1U) << "a wish to stop means this run from now on";
  held_.ends(held, success_of(17));
  EXPECT_EQ(phase_of(17), JobPhase::ended);
  EXPECT_EQ(text_in(*entry_of(17)), sql::to_json(success_of(17)));
  held_.recorded(17);
  EXPECT_EQ(phase_of(17), JobPhase::none);
  EXPECT_THAT(held_.all(), SizeIs(0));
}

TEST_F(TheHeldJobs, ThatAreHandedOverStandOnTheBoardWithTheirPlaceInTheSet) {
  HeldJob& first = held_.hold(job_of(17), {});
  HeldJob& second = held_.hold(job_of(18), {});
  HeldJob& third = held_.hold(job_of(19), {});
  sql::Outcome success;
  success.delete_job = true;
  success.omit_attempt = true;
  held_.hands_over({&first, &second, &third}, 5, success);
  for (const sql::JobId id : {17, 18, 19}) {
    EXPECT_EQ(phase_of(id), JobPhase::handed);
    EXPECT_EQ(entry_of(id)->set, 5U);
    EXPECT_EQ(entry_of(id)->index, static_cast<std::uint32_t>(id - 17));
    EXPECT_EQ(entry_of(id)->success.attempt, 1);
    EXPECT_EQ(entry_of(id)->success.deletes_job, 1U);
    EXPECT_EQ(entry_of(id)->success.omits_events, 0U);
    EXPECT_EQ(entry_of(id)->success.omits_attempt, 1U);
  }
  EXPECT_EQ(slot_.runs.load(), 0U) << "no wish to stop means any of them yet";
  EXPECT_THAT(held_.unbegun(), SizeIs(3)) << "they are kept, for all that is known here";
}

TEST_F(TheHeldJobs, OfASetSucceedRunAndAreKept) {
  HeldJob& first = held_.hold(job_of(17), {});
  HeldJob& second = held_.hold(job_of(18), {});
  HeldJob& third = held_.hold(job_of(19), {});
  held_.hands_over({&first, &second, &third}, 5, {});
  held_.succeeds(first, {.started_ns = 10, .ended_ns = 30, .cpu_us = 2, .max_rss_bytes = 3}, success_of(17));
  held_.keeps(third);
  held_.begins(second);
  EXPECT_EQ(phase_of(17), JobPhase::succeeded);
  EXPECT_EQ(entry_of(17)->success.run_ns, 20);
  EXPECT_EQ(entry_of(17)->success.cpu_us, 2);
  EXPECT_EQ(entry_of(17)->success.max_rss_bytes, 3);
  EXPECT_EQ(phase_of(18), JobPhase::running);
  EXPECT_EQ(phase_of(19), JobPhase::fetched);
  ASSERT_THAT(held_.unrecorded(), SizeIs(1));
  EXPECT_EQ(held_.unrecorded()[0].as_text(), sql::to_json(success_of(17)));
  EXPECT_EQ(held_.unbegun(), std::vector<HeldJob*>{&third});
  held_.refused(17, "no");
  EXPECT_EQ(phase_of(17), JobPhase::ended) << "in another form, which is a text";
  held_.recorded(17);
  EXPECT_EQ(phase_of(17), JobPhase::none);
}

TEST_F(TheHeldJobs, HaveAPlaceEach) {
  HeldJob& first = held_.hold(job_of(1), {});
  held_.hold(job_of(2), {});
  held_.ends(first, success_of(1));
  held_.recorded(1);
  held_.hold(job_of(3), {});
  EXPECT_EQ(phase_of(2), JobPhase::fetched) << "not moved, nor written over, by what became of the others";
  EXPECT_EQ(phase_of(3), JobPhase::fetched);
  EXPECT_EQ(held_.next()->job.id, 2) << "the one that was fetched first";
}

TEST_F(TheHeldJobs, RunWhereTheHousekeeperSeesThemBehindPlacesThatAreFreeAgain) {
  HeldJob& first = held_.hold(job_of(1), {});
  HeldJob& second = held_.hold(job_of(2), {});
  held_.ends(first, success_of(1));
  held_.begins(second);
  held_.recorded(1);
  const auto running = board::running_jobs(board_);
  ASSERT_THAT(running, SizeIs(1)) << "or no wish to abort would reach it";
  EXPECT_EQ(running[0].job_id, 2);
}

TEST_F(TheHeldJobs, FillTheBoardAndNoMore) {
  for (sql::JobId id = 1; id <= sql::JobId{board::kJobsPerSlot}; ++id) held_.hold(job_of(id), {});
  EXPECT_THAT(held_.all(), SizeIs(board::kJobsPerSlot));
  EXPECT_THROW(held_.hold(job_of(1000), {}), std::logic_error);
}

TEST_F(TheHeldJobs, AreSentOnceTheyHaveEnded) {
  HeldJob& first = held_.hold(job_of(1), {});
  held_.hold(job_of(2), {});
  EXPECT_FALSE(held_.has_unrecorded());
  held_.ends(first, success_of(1));
  ASSERT_THAT(held_.unrecorded(), SizeIs(1));
  EXPECT_EQ(held_.unrecorded()[0].job_id, 1);
  EXPECT_TRUE(held_.has_unended());
  held_.recorded(2);
  EXPECT_EQ(phase_of(2), JobPhase::fetched) << "it has no outcome that could have been recorded";
}

TEST_F(TheHeldJobs, ThatAreRefusedTakeTheirNextFormOnTheBoardToo) {
  HeldJob& held = held_.hold(job_of(17), {});
  sql::Outcome outcome = success_of(17);
  outcome.message = "\u2713";
  held_.begins(held);
  held_.ends(held, outcome);
  EXPECT_EQ(held_.refused(17, "no such character"), sql::Cause::succeeded);
  outcome.message = "???";
  EXPECT_EQ(phase_of(17), JobPhase::ended);
  EXPECT_EQ(text_in(*entry_of(17)), sql::to_json(outcome));
  EXPECT_EQ(held_.unrecorded()[0].text, sql::to_json(outcome));
}

// The owner keeps it, and after its death the job counts as one that was running.
TEST_F(TheHeldJobs, WhoseOutcomeIsTooLongForTheBoardSayThatTheyHaveEnded) {
  HeldJob& held = held_.hold(job_of(17), {});
  sql::Outcome outcome = success_of(17);
  outcome.message = std::string(board::kMaxOutcomeBytes, 'x');
  held_.ends(held, outcome);
  EXPECT_EQ(phase_of(17), JobPhase::ended);
  EXPECT_EQ(entry_of(17)->outcome_bytes.load(), 0U);
  EXPECT_EQ(held_.unrecorded()[0].text, sql::to_json(outcome));
  EXPECT_FALSE(held_.has_room()) << "a second one would be lost with it";
  held_.recorded(17);
  EXPECT_TRUE(held_.has_room());
}

TEST_F(TheHeldJobs, ShareTheRoomForOutcomesUntilItIsUsedUp) {
  sql::JobId id = 0;
  const auto end_one = [&](std::size_t bytes) {
    HeldJob& held = held_.hold(job_of(++id), {});
    sql::Outcome outcome = success_of(id);
    outcome.message = std::string(bytes - sql::to_json(outcome).size(), static_cast<char>('a' + id % 26));
    held_.begins(held);
    held_.ends(held, outcome);
    return sql::to_json(outcome);
  };
  std::vector<std::string> texts;
  while (held_.has_room()) texts.push_back(end_one(board::kMaxOutcomeBytes - 100));
  for (sql::JobId each = 1; each <= id; ++each)
    EXPECT_EQ(text_in(*entry_of(each)), texts.at(static_cast<std::size_t>(each) - 1)) << each;
  held_.recorded(5);
  EXPECT_FALSE(held_.has_room()) << "the gap is smaller than an outcome may be";
  const std::string fits = end_one(1000);
  EXPECT_EQ(text_in(*entry_of(id)), fits);
  EXPECT_EQ(text_in(*entry_of(4)), texts.at(3));
  EXPECT_EQ(text_in(*entry_of(6)), texts.at(5));
  held_.recorded(6);
  EXPECT_TRUE(held_.has_room());
}

TEST_F(TheHeldJobs, ThatAreGivenBackUnbegunTakeNoRoom) {
  HeldJob& held = held_.hold(job_of(17), {});
  sql::Outcome outcome = success_of(17);
  outcome.action = sql::Action::release;
  held_.ends(held, outcome);
  EXPECT_EQ(phase_of(17), JobPhase::fetched) << "which after a death means the same";
  EXPECT_EQ(held_.unrecorded()[0].text, sql::to_json(outcome));
}

TEST_F(TheHeldJobs, ThatAreTakenAwayLeaveNothing) {
  HeldJob& held = held_.hold(job_of(17), {});
  held_.begins(held);
  held_.let_go(held);
  EXPECT_EQ(phase_of(17), JobPhase::none);
  EXPECT_FALSE(held_.has_unended());
  EXPECT_FALSE(held_.has_unrecorded());
}

TEST_F(TheHeldJobs, TellOfALockUntilItIsFree) {
  held_.hold(job_of(1), {});
  EXPECT_FALSE(held_.take_freed_lock());
  sql::Job job = job_of(2);
  job.lock = "stove";
  held_.hold(job, {});
  EXPECT_TRUE(held_.take_freed_lock());
  held_.let_go(*held_.next());
  held_.let_go(*held_.next());
  EXPECT_TRUE(held_.take_freed_lock()) << "by now it is free";
  EXPECT_FALSE(held_.take_freed_lock());
}

TEST_F(TheHeldJobs, HaveTheHorizonOfTheFirstThatHasNotEnded) {
  using Time = std::chrono::steady_clock::time_point;
  EXPECT_EQ(held_.horizon(), Time::max());
  HeldJob& first = held_.hold(job_of(1), Time(std::chrono::seconds(1)));
  held_.hold(job_of(2), Time(std::chrono::seconds(2)));
  EXPECT_EQ(held_.horizon(), Time(std::chrono::seconds(1)));
  held_.let_go(first);
  EXPECT_EQ(held_.horizon(), Time(std::chrono::seconds(2)));
}

}  // namespace
}  // namespace postpone::subworker
