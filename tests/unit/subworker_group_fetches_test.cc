// What two sub-workers of a group ask for, as they learn of each other's fetches.
#include "subworker/worker/group_fetches.h"

#include <gtest/gtest.h>

#include <vector>

namespace postpone::subworker {
namespace {

class TwoSiblings : public testing::Test {
 protected:
  TwoSiblings() {
    for (const std::uint32_t index : {0U, 1U}) {
      board_.reset_slot(index, board::group_id("kitchen"));
      board_.slot(index).enter(board::SlotState::looking);
    }
  }

  static sql::FetchRequest wanting(int max_jobs) {
    sql::FetchRequest request;
    request.max_jobs = max_jobs;
    return request;
  }
  sql::FetchRequest begin(GroupFetches& fetches, int max_jobs = 100, bool from_top = false) {
    sql::FetchRequest request = wanting(max_jobs);
    fetches.begin(request, from_top, now_ns_ += 1'000'000);
    return request;
  }
  void end(GroupFetches& fetches, const sql::FetchRequest& request, const sql::Fetched& fetched) {
    fetches.ended(request, fetched, now_ns_ += 1'000'000);
  }
  // Jobs from `first` on.
  static sql::Fetched jobs(sql::JobId first, int count, bool more = true, std::optional<int> waiting = {}) {
    sql::Fetched fetched;
    for (int i = 0; i < count; ++i) {
      sql::Job job;
      job.id = first + i;
      fetched.jobs.push_back(std::move(job));
    }
    fetched.more = more;
    fetched.waiting = waiting;
    return fetched;
  }
  // The first fetch of all finds so many.
  void a_finds(int waiting) {
    const sql::FetchRequest request = begin(a_);
    end(a_, request, jobs(1, 100, true, waiting));
  }

  board::Board board_ = board::Board::create(2, 2);
  const std::vector<std::string> queues_{"mail"};
  GroupFetches a_{board_, board_.slot(0), queues_};
  GroupFetches b_{board_, board_.slot(1), queues_};
  std::int64_t now_ns_ = 1'000'000'000'000;
};

// It has left jobs in front of where it ended.
TEST_F(TwoSiblings, WhoMayTakeMoreBeginsNotBehindWhoPassesTasksOver) {
  sql::FetchRequest request = wanting(100);
  request.passed_over_tasks = {"thumbnail"};
  a_.begin(request, false, now_ns_ += 1'000'000);
  end(a_, request, jobs(1000, 100));
  EXPECT_FALSE(begin(b_).start);
  request.start.reset();
  a_.begin(request, false, now_ns_ += 1'000'000);
  EXPECT_TRUE(request.start) << "for itself it knows";
}

TEST_F(TwoSiblings, CountWhatWaitsWhenNothingIsKnown) {
  const sql::FetchRequest request = begin(a_);
  EXPECT_EQ(request.sharers, 2);
  EXPECT_EQ(request.max_jobs, 100);
  EXPECT_FALSE(request.start);
}

TEST_F(TwoSiblings, DoNotCountAgainWhileMoreIsKnownToWaitThanTheyAskFor) {
  a_finds(1000);
  const sql::FetchRequest request = begin(b_);
  EXPECT_EQ(request.sharers, 1);
  EXPECT_EQ(request.max_jobs, 100);
}

TEST_F(TwoSiblings, CountAgainWhenWhatWasKnownToWaitIsTaken) {
  a_finds(1000);
  int fetches = 0;
  while (begin(b_).sharers == 1) ASSERT_LT(++fetches, 10);
  EXPECT_GE(fetches, 5);
}

TEST_F(TwoSiblings, ShareWhatIsKnownWhileOneOfThemCounts) {
  a_finds(350);  // of which they take 100 each
  const sql::FetchRequest counting = begin(a_);
  EXPECT_EQ(counting.sharers, 2);
  const sql::FetchRequest meanwhile = begin(b_);
  EXPECT_EQ(meanwhile.sharers, 1);
  EXPECT_EQ(meanwhile.max_jobs, 75);
}

TEST_F(TwoSiblings, BeginWhereTheOtherEnded) {
  a_finds(1000);
  const sql::FetchRequest request = begin(b_);
  ASSERT_TRUE(request.start);
  EXPECT_EQ(request.start->id, 100);
}

TEST_F(TwoSiblings, BeginBehindWhatTheOtherIsTaking) {
  a_finds(1000);
  begin(a_);
  const sql::FetchRequest request = begin(b_);
  ASSERT_TRUE(request.start);
  EXPECT_EQ(request.start->id, 200);
}

TEST_F(TwoSiblings, GuessNoMoreOfTheOtherThanItTookTheLastTime) {
  a_finds(1000);
  begin(b_);  // it has taken nothing yet
  const sql::FetchRequest request = begin(a_);
  ASSERT_TRUE(request.start);
  EXPECT_EQ(request.start->id, 100);
}

TEST_F(TwoSiblings, BeginAtTheTopWhenAFetchWasNotAnswered) {
  a_finds(1000);
  begin(a_);
  a_.failed(now_ns_ += 1'000'000);
  EXPECT_FALSE(begin(b_).start);
}

TEST_F(TwoSiblings, FollowTheOneThatFoundOlderJobs) {
  a_finds(1000);
  now_ns_ += 100'000'000;
  const sql::FetchRequest from_top = begin(b_);
  EXPECT_FALSE(from_top.start);
  end(b_, from_top, jobs(20, 50));
  const sql::FetchRequest request = begin(a_);
  ASSERT_TRUE(request.start);
  EXPECT_EQ(request.start->id, 69);
}

// It was asked to begin behind a job, and the database knew better.
TEST_F(TwoSiblings, KnowThatAFetchHasLookedFromTheTop) {
  a_finds(1000);
  now_ns_ += 45'000'000;
  const sql::FetchRequest request = begin(b_);
  ASSERT_TRUE(request.start);
  sql::Fetched fetched = jobs(150, 50);
  fetched.from_top = true;
  end(b_, request, fetched);
  now_ns_ += 10'000'000;
  EXPECT_TRUE(begin(a_).start) << "it is not time for the next look";
}

TEST_F(TwoSiblings, TakeOfWhatIsKnownToWaitWithoutSharingIt) {
  a_finds(1000);
  board_.slot(1).enter(board::SlotState::running);
  for (int fetches = 0; fetches < 8; ++fetches) end(a_, begin(a_), jobs(1000 + 100 * fetches, 100));
  board_.slot(1).enter(board::SlotState::looking);
  EXPECT_EQ(begin(b_).sharers, 2) << "nothing is left of what was counted";
}

TEST_F(TwoSiblings, BeginAtTheTopWhenNothingMoreWaits) {
  const sql::FetchRequest request = begin(a_);
  end(a_, request, jobs(1, 3, false, 3));
  EXPECT_FALSE(begin(b_).start);
}

// What has woken it may be in front.
TEST_F(TwoSiblings, BeginAtTheTopAfterARest) {
  a_finds(1000);
  EXPECT_FALSE(begin(b_, 100, true).start);
}

TEST_F(TwoSiblings, DoNotTakeTheEndOfTheBacklogForOlderJobs) {
  a_finds(1000);
  now_ns_ += 100'000'000;
  end(b_, begin(b_), jobs(0, 0, false));
  end(a_, begin(a_), jobs(900, 100));
  const sql::FetchRequest request = begin(b_);
  ASSERT_TRUE(request.start);
  EXPECT_EQ(request.start->id, 999);
}

TEST_F(TwoSiblings, LeaveTheTopToOneOfThem) {
  EXPECT_FALSE(begin(a_).start);
  end(a_, wanting(100), jobs(1, 100));
  EXPECT_TRUE(begin(b_).start);
  EXPECT_TRUE(begin(a_).start);
}

TEST_F(TwoSiblings, NeverShareASingleJob) {
  EXPECT_EQ(begin(a_, 1).sharers, 1);
  EXPECT_EQ(begin(a_, 1).max_jobs, 1);
}

// An incarnation that died says nothing to the next one.
TEST_F(TwoSiblings, KnowNothingOfAnIncarnationThatIsGone) {
  a_finds(1000);
  board_.reset_slot(0, board::group_id("kitchen"));
  EXPECT_FALSE(begin(b_).start);
}

TEST(AnOnlyChild, CountsNothing) {
  board::Board board = board::Board::create(1, 1);
  board.reset_slot(0, board::group_id("kitchen"));
  const std::vector<std::string> queues{"mail"};
  GroupFetches fetches(board, board.slot(0), queues);
  sql::FetchRequest request;
  request.max_jobs = 100;
  fetches.begin(request, false, 1'000'000'000'000);
  EXPECT_EQ(request.sharers, 1);
  EXPECT_EQ(request.max_jobs, 100);
}

}  // namespace
}  // namespace postpone::subworker
