#include "board/board.h"
#include "tests/support/signals.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>
#include <string>
#include <vector>

namespace postpone::board {
namespace {

using namespace std::chrono_literals;

sys::Fd second_descriptor(const Board& board) {
  return sys::Fd(::fcntl(board.fd(), F_DUPFD_CLOEXEC, 0));
}

std::string refusal_of(sys::Fd fd) {
  try {
    Board::attach(std::move(fd));
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "attached";
}

// Each entry has a part of the room.
void put_ended(Slot& slot, std::uint32_t place, std::int64_t job_id, const std::string& outcome) {
  JobEntry& entry = slot.jobs[place];
  entry.job_id = job_id;
  write_outcome(entry, slot.outcomes, place * kMaxOutcomeBytes, outcome);
  entry.phase = JobPhase::ended;
}

TEST(BoardMemory, EightSlotsCommitAFewPages) {
  const Board board = Board::create(8, 8);
  for (std::uint32_t slot = 0; slot < 8; ++slot) board.slot(slot);
  Board used = Board::attach(second_descriptor(board));
  for (std::uint32_t slot = 0; slot < 8; ++slot) used.reset_slot(slot, 0);

  struct stat status {};
  ASSERT_EQ(::fstat(board.fd(), &status), 0);
  EXPECT_LE(status.st_blocks * 512, 16 * ::sysconf(_SC_PAGESIZE));
}

TEST(BoardMemory, CannotChangeItsSize) {
  const Board board = Board::create(1, 1);
  EXPECT_NE(::ftruncate(board.fd(), 0), 0);
}

TEST(BoardAttach, SeesWhatTheOtherWrites) {
  const Board one = Board::create(3, 2);
  const Board two = Board::attach(second_descriptor(one));
  EXPECT_EQ(two.header().slots, 3U);
  EXPECT_EQ(two.header().permits, 2U);
  one.slot(2).lease = 42;
  EXPECT_EQ(two.slot(2).lease, 42);
}

TEST(BoardAttach, RefusesWhatIsNoBoard) {
  EXPECT_NE(refusal_of(sys::make_sealed_memfd("text", "text")).find("its size differs"), std::string::npos);
  EXPECT_NE(refusal_of(sys::Fd(1'000'000)).find("Bad file descriptor"), std::string::npos);
}

TEST(BoardAttach, RefusesAnotherVersion) {
  const Board board = Board::create(1, 1);
  board.header().layout_version = kLayoutVersion + 1;
  EXPECT_NE(refusal_of(second_descriptor(board)).find("layout is version"), std::string::npos);
  board.header().magic = 0;
  EXPECT_NE(refusal_of(second_descriptor(board)).find("does not begin as one"), std::string::npos);
}

TEST(BoardSlot, EachIncarnationStartsAfresh) {
  Board board = Board::create(1, 1);
  EXPECT_EQ(board.reset_slot(0, 3), 1U);
  Slot& slot = board.slot(0);
  EXPECT_EQ(slot.group, 3U);
  EXPECT_EQ(slot.state, SlotState::vacant);
  EXPECT_NE(slot.heartbeat_ns, 0);

  slot.enter(SlotState::running);
  slot.command = Command::drain;
  slot.stop = 7;
  slot.lease = 8;
  slot.task_pid = 9;
  slot.holds_permit = 1;
  put_ended(slot, 5, 7, "{}");
  slot.doorbell.ring(kRungForWork);
  EXPECT_EQ(board.reset_slot(0, 4), 2U);

  EXPECT_EQ(slot.group, 4U);
  EXPECT_EQ(slot.state, SlotState::vacant);
  EXPECT_EQ(slot.command, Command::run);
  EXPECT_EQ(slot.stop, 0);
  EXPECT_EQ(slot.lease, 0);
  EXPECT_EQ(slot.task_pid, 0);
  EXPECT_EQ(slot.holds_permit, 0U);
  EXPECT_EQ(slot.jobs[5].phase, JobPhase::none);
  EXPECT_FALSE(slot.doorbell.is_rung());
}

TEST(BoardSlot, IsOfItsIncarnationAndItsGroup) {
  Board board = Board::create(1, 1);
  const auto damaged = [&](std::uint32_t generation, const std::string& group) {
    try {
      board.check_slot(0, generation, group);
    } catch (const Damaged&) {
      return true;
    }
    return false;
  };
  board.reset_slot(0, group_id("kitchen"));
  EXPECT_FALSE(damaged(1, "kitchen"));
  EXPECT_TRUE(damaged(2, "kitchen"));
  EXPECT_TRUE(damaged(1, "bar"));
  board.slot(0).group.store(kNoGroup);
  EXPECT_FALSE(damaged(1, "kitchen")) << "it was dismissed";
}

TEST(GroupId, IsMadeOfTheNameAlone) {
  EXPECT_EQ(group_id("kitchen"), group_id(std::string("kit") + "chen"));
  EXPECT_NE(group_id("kitchen"), group_id("Kitchen"));
  EXPECT_NE(group_id("ab"), group_id("ba"));
  EXPECT_NE(group_id(""), kNoGroup);
}

TEST(BoardSlot, EnteringAStateStampsIt) {
  Board board = Board::create(1, 1);
  board.reset_slot(0, 0);
  const std::int64_t before = now_ns();
  board.slot(0).enter(SlotState::idle);
  EXPECT_EQ(board.slot(0).state, SlotState::idle);
  EXPECT_GE(board.slot(0).since_ns, before);
}

class Burial : public testing::Test {
 protected:
  Burial() : board_(Board::create(1, 1)) { board_.reset_slot(0, 0); }

  Slot& slot() { return board_.slot(0); }
  static void settle(Grave& grave) { grave.settled_lease = grave.lease.load(); }

  Board board_;
};

TEST_F(Burial, KeepsWhatTheDeadHeld) {
  put_ended(slot(), 0, 10, R"({"job": 10})");
  slot().jobs[3].job_id = 11;
  slot().jobs[3].phase = JobPhase::running;
  slot().jobs[31].job_id = 12;
  slot().jobs[31].phase = JobPhase::fetched;
  ASSERT_TRUE(board_.fill_grave(0, 77));
  board_.reset_slot(0, 0);

  const Grave& grave = board_.grave(0);
  EXPECT_EQ(grave.lease, 77);
  EXPECT_EQ(grave.slot, 0U);
  EXPECT_EQ(grave.jobs[0].job_id, 10);
  EXPECT_EQ(grave.jobs[0].phase, JobPhase::ended);
  EXPECT_EQ(outcome_of(grave.jobs[0], grave.outcomes), R"({"job": 10})");
  EXPECT_EQ(grave.jobs[1].job_id, 11);
  EXPECT_EQ(grave.jobs[1].phase, JobPhase::running);
  EXPECT_EQ(grave.jobs[2].job_id, 12);
  EXPECT_EQ(grave.jobs[2].phase, JobPhase::fetched);
  EXPECT_EQ(grave.jobs[3].phase, JobPhase::none);
  EXPECT_TRUE(board_.header().housekeeper_doorbell.is_rung_for(kRungForGrave));
}

TEST_F(Burial, AnOutcomeThatIsOnlyHalfWrittenIsNotBelieved) {
  put_ended(slot(), 0, 10, "half of an outc");
  slot().jobs[0].phase = JobPhase::running;
  put_ended(slot(), 1, 11, "x");
  slot().jobs[1].outcome_bytes = 1'000'000;
  ASSERT_TRUE(board_.fill_grave(0, 77));
  EXPECT_EQ(board_.grave(0).jobs[0].outcome_bytes, 0U);
  EXPECT_EQ(board_.grave(0).jobs[1].outcome_bytes, 0U);
  EXPECT_EQ(board_.grave(0).jobs[1].phase, JobPhase::ended);
}

// Four jobs of set 5, of which the second one runs.
class BurialOfASet : public Burial {
 protected:
  static constexpr std::uint32_t kSet = 5;

  BurialOfASet() {
    for (std::uint32_t i = 0; i < 4; ++i) {
      JobEntry& entry = slot().jobs[i];
      entry.job_id = 10 + i;
      entry.set = kSet;
      entry.index = i;
      entry.jobs_of_set = 4;
      entry.handed_ns = 900;
      entry.success.attempt = 3;
      entry.success.deletes_job = 1;
      entry.success.omits_events = 1;
      entry.phase = JobPhase::handed;
    }
    point_at({.set = kSet, .stop = false, .index = 1});
    ledger_->entries[0].write({.started_ns = 1000, .ended_ns = 1500, .cpu_us = 7, .max_rss_bytes = 4096});
  }
  void point_at(const libtask::wire::Cursor& cursor) { ledger_->cursor = to_word(cursor); }
  // The four in the grave.
  std::vector<JobPhase> buried() {
    EXPECT_TRUE(board_.fill_grave(0, 77, &ledger_));
    std::vector<JobPhase> phases;
    for (std::uint32_t i = 0; i < 4; ++i) phases.push_back(board_.grave(0).jobs[i].phase);
    return phases;
  }

  Ledger ledger_ = Ledger::create();
};

using Phases = std::vector<JobPhase>;

TEST_F(BurialOfASet, ACursorBeyondTheSetIsNotBelieved) {
  for (std::uint32_t i = 0; i < 4; ++i) ledger_->entries[i].write({.started_ns = 1000, .ended_ns = 1500});
  point_at({.set = kSet, .stop = false, .index = 4});
  EXPECT_EQ(buried(), Phases(4, JobPhase::running));
}

TEST_F(BurialOfASet, ARunBeforeTheSetIsNotBelieved) {
  ledger_->entries[0].write({.started_ns = 800, .ended_ns = 850});
  ledger_->entries[1].write({});
  point_at({.set = kSet, .stop = false, .index = 2});
  EXPECT_EQ(buried(), Phases({JobPhase::running, JobPhase::running, JobPhase::running, JobPhase::fetched}));
}

TEST_F(BurialOfASet, TheLedgerSaysWhatHasSucceededRunsAndHasNotBegun) {
  EXPECT_EQ(buried(), Phases({JobPhase::succeeded, JobPhase::running, JobPhase::fetched, JobPhase::fetched}));
  const Success& success = board_.grave(0).jobs[0].success;
  EXPECT_EQ(success.attempt, 3);
  EXPECT_EQ(success.deletes_job, 1U);
  EXPECT_EQ(success.omits_events, 1U);
  EXPECT_EQ(success.omits_attempt, 0U);
  EXPECT_EQ(success.run_ns, 500);
  EXPECT_EQ(success.cpu_us, 7);
  EXPECT_EQ(success.max_rss_bytes, 4096);
}

TEST_F(BurialOfASet, TheJobThatWasSingledOutRuns) {
  point_at({.set = kSet, .stop = true, .index = 1});
  EXPECT_EQ(buried(), Phases({JobPhase::succeeded, JobPhase::running, JobPhase::fetched, JobPhase::fetched}));
}

TEST_F(BurialOfASet, WhatTheSubWorkerKnewAlreadyStands) {
  slot().jobs[0].phase = JobPhase::succeeded;
  slot().jobs[0].success.run_ns = 123;
  put_ended(slot(), 1, 11, "{}");
  slot().jobs[2].phase = JobPhase::fetched;
  point_at({.set = kSet, .stop = true, .index = 2});
  EXPECT_EQ(buried(), Phases({JobPhase::succeeded, JobPhase::ended, JobPhase::fetched, JobPhase::fetched}));
  EXPECT_EQ(board_.grave(0).jobs[0].success.run_ns, 123);
}

TEST_F(BurialOfASet, AnotherSetInTheLedgerMakesThemAllRun) {
  point_at({.set = kSet + 1, .stop = false, .index = 0});
  EXPECT_EQ(buried(), Phases(4, JobPhase::running));
}

TEST_F(BurialOfASet, NumbersThatCannotBeMakeTheirJobRun) {
  ledger_->entries[0].write({.started_ns = 1500, .ended_ns = 1000});
  EXPECT_EQ(buried()[0], JobPhase::running);
}

TEST_F(BurialOfASet, WithoutALedgerTheyAllRun) {
  ASSERT_TRUE(board_.fill_grave(0, 77));
  for (std::uint32_t i = 0; i < 4; ++i) EXPECT_EQ(board_.grave(0).jobs[i].phase, JobPhase::running);
}

TEST(LedgerMemory, CannotChangeItsSizeAndIsKnownByIt) {
  const Ledger ledger = Ledger::create();
  EXPECT_NE(::ftruncate(ledger.fd(), 0), 0);
  const Ledger same = Ledger::attach(sys::Fd(::fcntl(ledger.fd(), F_DUPFD_CLOEXEC, 0)));
  ledger->cursor = 17;
  EXPECT_EQ(same->cursor, 17U);
  const Board board = Board::create(1, 1);
  EXPECT_THROW(Ledger::attach(second_descriptor(board)), std::runtime_error);
}

TEST_F(Burial, ASettledGraveIsUsedAgainAndHoldsNothingOld) {
  slot().jobs[0].job_id = 10;
  slot().jobs[0].phase = JobPhase::running;
  ASSERT_TRUE(board_.fill_grave(0, 77));
  settle(board_.grave(0));
  board_.reset_slot(0, 0);
  ASSERT_TRUE(board_.fill_grave(0, 78));
  EXPECT_EQ(board_.grave(0).lease, 78);
  EXPECT_EQ(board_.grave(0).jobs[0].phase, JobPhase::none);
}

TEST_F(Burial, WaitsWhenEveryGraveIsTaken) {
  for (std::uint32_t i = 0; i < kMaxGraves; ++i) ASSERT_TRUE(board_.fill_grave(0, 100 + i));
  EXPECT_FALSE(board_.fill_grave(0, 999));
  settle(board_.grave(5));
  EXPECT_TRUE(board_.fill_grave(0, 999));
  EXPECT_EQ(board_.grave(5).lease, 999);
}

// The owner is killed at some point of writing outcome after outcome; whatever the grave calls ended is
// whole.
TEST_F(Burial, ADeathInTheMiddleNeverShowsATornOutcome) {
  for (int round = 0; round < 50; ++round) {
    const pid_t owner = ::fork();
    if (owner == 0) {
      JobEntry& entry = slot().jobs[0];
      for (std::uint32_t i = 0;; ++i) {
        entry.phase.store(JobPhase::running);
        entry.job_id.store(i);
        const std::string outcome(1 + i % kMaxOutcomeBytes, static_cast<char>('a' + i % 26));
        put_ended(slot(), 0, i, outcome);
        slot().lease.store(i);
      }
    }
    const std::int64_t enough = 100 + round * 7;
    while (slot().lease.load() < enough) ::sched_yield();
    tests::send_signal(owner, SIGKILL);
    ::waitpid(owner, nullptr, 0);

    ASSERT_TRUE(board_.fill_grave(0, 1000 + round));
    Grave& grave = board_.grave(0);
    if (grave.jobs[0].phase == JobPhase::ended) {
      const auto i = static_cast<std::uint32_t>(grave.jobs[0].job_id.load());
      EXPECT_EQ(outcome_of(grave.jobs[0], grave.outcomes),
                std::string(1 + i % kMaxOutcomeBytes, static_cast<char>('a' + i % 26)));
    }
    settle(grave);
    board_.reset_slot(0, 0);
  }
}

}  // namespace
}  // namespace postpone::board
