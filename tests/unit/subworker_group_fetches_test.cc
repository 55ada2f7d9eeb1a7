// What two sub-workers of a group ask for, as they learn of each other's fetches.
#include "subworker/worker/group_fetches.h"

#include <gtest/gtest.h>

#include <vector>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

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
  sql::FetchRequest begin(GroupFetches& fetches, int max_jobs = 100) {
    sql::FetchRequest request = wanting(max_jobs);
    fetches.begin(request, now_ns_ += 1'000'000);
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
  GroupFetches a_{board_, board_.slot(0), 5s};
  GroupFetches b_{board_, board_.slot(1), 5s};
  std::int64_t now_ns_ = 1'000'000'000'000;
};

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
  begin(b_);
  const sql::FetchRequest request = begin(a_);
  ASSERT_TRUE(request.start);
  EXPECT_EQ(request.start->id, 200);
}

TEST_F(TwoSiblings, BeginAtTheTopWhenNothingMoreWaits) {
  const sql::FetchRequest request = begin(a_);
  end(a_, request, jobs(1, 3, false, 3));
  EXPECT_FALSE(begin(b_).start);
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
  GroupFetches fetches(board, board.slot(0), 5s);
  sql::FetchRequest request;
  request.max_jobs = 100;
  fetches.begin(request, 1'000'000'000'000);
  EXPECT_EQ(request.sharers, 1);
  EXPECT_EQ(request.max_jobs, 100);
}

}  // namespace
}  // namespace postpone::subworker
