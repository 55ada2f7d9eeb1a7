// The task permits of two sub-workers, from fetch to fetch.
#include "subworker/worker/task_permits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postpone::subworker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

libtask::wire::Description dishes() {
  libtask::wire::Description description;
  for (const char* name : {"dry", "wash", "polish"}) description.tasks.emplace_back().name = name;
  description.tasks[1].aliases = {"scrub"};
  return description;
}

class TwoWithLimits : public testing::Test {
 protected:
  TwoWithLimits() {
    for (const std::uint32_t slot : {0U, 1U}) {
      board_.reset_slot(slot, board::group_id("kitchen"));
      board_.slot(slot).enter(board::SlotState::idle);
    }
    limit({{"wash", 1}});
    a_.learn(description_);
    b_.learn(description_);
  }

  void limit(const std::vector<board::LimitedTask>& tasks) { board::set_task_limits(board_, tasks); }
  std::uint32_t running(const std::string& task = "wash") {
    return board::permits_held(board_.task_limit(board::find_task_limit(board_, task).value()));
  }
  HeldJob& hold(HeldJobs& held, const std::string& task) {
    sql::Job job;
    job.id = ++jobs_;
    job.task = task;
    return held.hold(std::move(job), {});
  }
  static void end(HeldJobs& held, HeldJob& job) {
    sql::Outcome outcome;
    outcome.job_id = job.job.id;
    outcome.attempt = 1;
    held.ends(job, outcome);
  }
  void put_b_into(const std::string& group) {
    board_.reset_slot(1, board::group_id(group));
    board_.slot(1).enter(board::SlotState::idle);
  }
  bool a_is_rung() { return board_.slot(0).doorbell.answer() != 0; }
  bool b_is_rung() { return board_.slot(1).doorbell.answer() != 0; }

  board::Board board_ = board::Board::create(2, 2);
  const libtask::wire::Description description_ = dishes();
  HeldJobs a_holds_{board_.slot(0)};
  HeldJobs b_holds_{board_.slot(1)};
  TaskPermits a_{board_, {0, 1}};
  TaskPermits b_{board_, {1, 1}};
  sql::JobId jobs_ = 0;
};

TEST_F(TwoWithLimits, OneLeavesAloneWhatTheOtherRuns) {
  EXPECT_THAT(a_.full_tasks(a_holds_), IsEmpty());
  hold(a_holds_, "wash");
  EXPECT_TRUE(a_.may_run("wash"));
  EXPECT_THAT(b_.full_tasks(b_holds_), ElementsAre("wash", "scrub")) << "under each of its names";
  EXPECT_FALSE(b_.may_run("scrub"));
  EXPECT_TRUE(b_.may_run("dry"));
  EXPECT_TRUE(b_.may_run("no such task"));
}

TEST_F(TwoWithLimits, APermitIsKeptThroughTheNextFetch) {
  HeldJob& first = hold(a_holds_, "wash");
  ASSERT_TRUE(a_.may_run("wash"));
  end(a_holds_, first);
  EXPECT_THAT(a_.full_tasks(a_holds_), IsEmpty());
  b_.full_tasks(b_holds_);
  a_holds_.recorded(first.job.id);
  hold(a_holds_, "scrub");
  a_.keep_needed(a_holds_);
  EXPECT_TRUE(a_.may_run("scrub"));
  EXPECT_FALSE(b_is_rung()) << "for nothing";
  EXPECT_EQ(running(), 1u) << "one is enough";
}

TEST_F(TwoWithLimits, APermitThatIsNotNeededAnyMoreWakesWhoWantsIt) {
  HeldJob& first = hold(a_holds_, "wash");
  ASSERT_TRUE(a_.may_run("wash"));
  b_.full_tasks(b_holds_);
  end(a_holds_, first);
  hold(a_holds_, "dry");
  a_.keep_needed(a_holds_);
  EXPECT_EQ(running(), 0u);
  EXPECT_TRUE(b_is_rung());
  EXPECT_THAT(b_.full_tasks(b_holds_), IsEmpty());
}

TEST_F(TwoWithLimits, WhoGetsAJobWithoutAPermitIsRungLater) {
  HeldJob& first = hold(a_holds_, "wash");
  ASSERT_TRUE(a_.may_run("wash"));
  hold(b_holds_, "wash");
  EXPECT_FALSE(b_.may_run("wash"));
  end(a_holds_, first);
  a_.keep_needed(a_holds_);
  EXPECT_TRUE(b_is_rung());
}

TEST_F(TwoWithLimits, AJobOfAnotherTaskThatTakesLongKeepsNoPermit) {
  HeldJob& first = hold(a_holds_, "wash");
  HeldJob& second = hold(a_holds_, "dry");
  ASSERT_TRUE(a_.may_run("wash"));
  end(a_holds_, first);
  a_holds_.begins(second);
  a_.attend(a_holds_);
  EXPECT_EQ(running(), 0u);
}

TEST_F(TwoWithLimits, AJobThatRunsCountsWhenItsTaskGetsALimit) {
  HeldJob& first = hold(a_holds_, "polish");
  ASSERT_TRUE(a_.may_run("polish"));
  a_holds_.begins(first);
  limit({{"wash", 1}, {"polish", 1}});
  a_.attend(a_holds_);
  EXPECT_EQ(running("polish"), 1u);
  EXPECT_FALSE(b_.may_run("polish"));
  limit({{"wash", 1}});
  EXPECT_TRUE(b_.may_run("polish"));
}

TEST_F(TwoWithLimits, WhoIsOneTooManyGoesOnWithOtherTasks) {
  limit({{"wash", 2}});
  ASSERT_TRUE(a_.may_run("wash"));
  HeldJob& last = hold(b_holds_, "wash");
  ASSERT_TRUE(b_.may_run("wash"));
  b_holds_.begins(last);
  limit({{"wash", 1}});
  EXPECT_THAT(b_.full_tasks(b_holds_), ElementsAre("wash", "scrub"));
  EXPECT_EQ(running(), 2u) << "its job runs still";
  end(b_holds_, last);
  EXPECT_THAT(b_.full_tasks(b_holds_), ElementsAre("wash", "scrub"));
  EXPECT_EQ(running(), 1u);
}

TEST_F(TwoWithLimits, WhileTooManyRunNobodyBeginsAnotherWhicheverItsCell) {
  limit({{"wash", 2}});
  HeldJob& done = hold(a_holds_, "wash");
  HeldJob& next = hold(a_holds_, "wash");
  HeldJob& hour = hold(b_holds_, "wash");
  ASSERT_TRUE(a_.may_run("wash"));
  ASSERT_TRUE(b_.may_run("wash"));
  b_holds_.begins(hour);
  limit({{"wash", 1}});
  end(a_holds_, done);
  EXPECT_FALSE(a_.may_run("wash")) << "it has the first cell, and the other job runs on";
  EXPECT_FALSE(b_.may_run("wash")) << "beside its own job";
  EXPECT_EQ(running(), 2u);
  end(a_holds_, next);
  EXPECT_THAT(a_.full_tasks(a_holds_), ElementsAre("wash", "scrub"));
  EXPECT_FALSE(a_.may_run("wash"));
  EXPECT_EQ(running(), 1u);
  end(b_holds_, hour);
  b_.keep_needed(b_holds_);
  EXPECT_TRUE(a_is_rung());
  EXPECT_THAT(a_.full_tasks(a_holds_), IsEmpty());
  EXPECT_TRUE(a_.may_run("wash"));
}

TEST_F(TwoWithLimits, WhenAllGiveBackBecauseTooManyRanOneTakesAgain) {
  limit({{"wash", 2}});
  ASSERT_TRUE(a_.may_run("wash"));
  ASSERT_TRUE(b_.may_run("wash"));
  limit({{"wash", 1}});
  EXPECT_FALSE(a_.may_run("wash"));
  EXPECT_FALSE(b_.may_run("wash"));
  a_.keep_needed(a_holds_);
  b_.keep_needed(b_holds_);
  EXPECT_EQ(running(), 0u);
  EXPECT_TRUE(a_.may_run("wash"));
  EXPECT_FALSE(b_.may_run("wash"));
}

TEST_F(TwoWithLimits, ALimitThatComesCountsAllThatRuns) {
  HeldJob& first = hold(a_holds_, "polish");
  HeldJob& hour = hold(b_holds_, "polish");
  a_holds_.begins(first);
  b_holds_.begins(hour);
  limit({{"polish", 1}});
  a_.attend(a_holds_);
  b_.attend(b_holds_);
  end(a_holds_, first);
  EXPECT_FALSE(a_.may_run("polish"));
}

TEST_F(TwoWithLimits, APermitThatAnotherGroupWantsIsLeftToItForOneFetch) {
  put_b_into("bar");
  HeldJob& first = hold(a_holds_, "wash");
  ASSERT_TRUE(a_.may_run("wash"));
  b_.full_tasks(b_holds_);
  EXPECT_THAT(a_.full_tasks(a_holds_), ElementsAre("wash", "scrub")) << "none is fetched ahead";
  EXPECT_EQ(running(), 1u) << "its job runs still";
  end(a_holds_, first);
  EXPECT_THAT(a_.full_tasks(a_holds_), ElementsAre("wash", "scrub"));
  EXPECT_EQ(running(), 0u);
  EXPECT_TRUE(b_is_rung());
  EXPECT_TRUE(a_is_rung()) << "if the other one has no such job, nobody else would have it look again";
  EXPECT_THAT(b_.full_tasks(b_holds_), IsEmpty());
  EXPECT_THAT(a_.full_tasks(a_holds_), IsEmpty());
}

TEST_F(TwoWithLimits, APermitIsKeptFromAnotherGroupThatIsBusy) {
  put_b_into("bar");
  ASSERT_TRUE(a_.may_run("wash"));
  b_.full_tasks(b_holds_);
  board_.slot(1).enter(board::SlotState::running);
  EXPECT_THAT(a_.full_tasks(a_holds_), IsEmpty());
  EXPECT_EQ(running(), 1u);
}

TEST_F(TwoWithLimits, AFreshTaskProcessMayHaveOtherTasks) {
  libtask::wire::Description other;
  other.tasks.emplace_back().name = "dry";
  hold(a_holds_, "wash");
  ASSERT_TRUE(a_.may_run("wash"));
  a_.learn(other);
  EXPECT_EQ(running(), 0u);
  EXPECT_TRUE(b_.may_run("wash"));
  EXPECT_THAT(a_.full_tasks(a_holds_), IsEmpty()) << "it has no such task";
}

TEST_F(TwoWithLimits, AllThatOneHoldsMayBeOfTasksThatAreUsedUp) {
  hold(a_holds_, "wash");
  EXPECT_TRUE(a_.are_used_up_by(a_holds_));
  hold(a_holds_, "dry");
  EXPECT_FALSE(a_.are_used_up_by(a_holds_));
  limit({{"wash", 2}});
  hold(b_holds_, "wash");
  EXPECT_TRUE(b_.are_used_up_by(b_holds_)) << "the second of two";
}

TEST_F(TwoWithLimits, OneThatAloneIsThereLeavesRoomForOthers) {
  limit({{"wash", 2}});
  hold(a_holds_, "wash");
  EXPECT_FALSE(a_.are_used_up_by(a_holds_));
}

}  // namespace
}  // namespace postpone::subworker
