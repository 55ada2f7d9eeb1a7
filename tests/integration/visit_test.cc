// A sub-worker's visit to the database, by itself: what it does when answers are lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "subworker/task/outcome.h"
#include "subworker/worker/session.h"
#include "tests/support/database.h"
#include "tests/support/tcp_proxy.h"

namespace postpone::tests {
namespace {

using namespace std::chrono_literals;
using testing::SizeIs;

class AVisit : public testing::Test {
 protected:
  AVisit() {
    config_.database.url =
        "host=127.0.0.1 port=" + std::to_string(proxy_.port()) + " user=postgres dbname=" + database_.name();
    config_.database.connect_timeout = 2s;
    config_.database.statement_timeout = 2s;
    board_.reset_slot(0, 0);
  }
  // The only job there is, fetched.
  sql::Job fetch() {
    database_.execute("SELECT postpone_defer('test')");
    const auto visit = session_.visit({}, {1});
    return visit.value().fetched.jobs.at(0);
  }
  static subworker::SentOutcome sent(const sql::Outcome& outcome) {
    return {.job_id = outcome.job_id,
            .text = sql::to_json(outcome),
            .releases = outcome.action == sql::Action::release,
            .why = {}};
  }

  TestDatabase database_;
  TcpProxy proxy_{database_.execute("SHOW unix_socket_directories"), database_.execute("SHOW port")};
  config::Config config_;
  config::Group group_;
  board::Board board_ = board::Board::create(1, 1);
  std::vector<sql::WorkerId> leases_;
  subworker::Session session_{
      config_,
      group_,
      board_,
      {.supervisor = "s:1:0", .host = "host", .name = "q/0", .generation = 1, .cgroup = {}},
      {.on_tick = [] {},
       .gives_up = [](bool) { return false; },
       .on_lease = [this](sql::WorkerId id) { leases_.push_back(id); }}};
};

// A release counts no attempt. Were it sent again under the same lease, and the job fetched again by the same
// lease, a late first copy would release the job in its new run, and another sub-worker would take it
// meanwhile.
TEST_F(AVisit, ThatLosesTheAnswerToAReleaseTakesAnotherLease) {
  const sql::Job job = fetch();
  proxy_.swallow_answers_to(R"("action":"release")");
  ASSERT_TRUE(session_.visit({sent(subworker::given_back(job))}, {0}));
  EXPECT_TRUE(proxy_.has_swallowed_answer());
  EXPECT_THAT(leases_, SizeIs(2));
  EXPECT_EQ(database_.execute("SELECT count(*) FROM procrastinate_workers"), "1")
      << "the doubtful one is gone";
  EXPECT_EQ(database_.execute("SELECT status || ' ' || attempts FROM procrastinate_jobs"), "todo 0");
}

TEST_F(AVisit, ThatLosesTheAnswerToASuccessFindsItRecordedUnderTheSameLease) {
  sql::Outcome success = subworker::given_back(fetch());
  success.action = sql::Action::succeed;
  proxy_.swallow_answers_to(R"("action":"succeed")");
  const auto visit = session_.visit({sent(success)}, {0});
  EXPECT_TRUE(proxy_.has_swallowed_answer());
  ASSERT_TRUE(visit);
  ASSERT_THAT(visit->recorded, SizeIs(1));
  EXPECT_EQ(visit->recorded[0].disposition, sql::Disposition::already_recorded);
  EXPECT_THAT(leases_, SizeIs(1));
}

TEST_F(AVisit, ThatFindsNothingLeavesAConnectionToRehearse) {
  ASSERT_TRUE(session_.visit({}, {1}));
  EXPECT_TRUE(session_.wants_rehearsal());
  session_.rehearse();
  EXPECT_FALSE(session_.wants_rehearsal());
  EXPECT_EQ(board_.slot(0).warm, 1U);
  session_.give_up_connection();
  EXPECT_EQ(board_.slot(0).warm, 0U) << "the next connection knows nothing of it";
}

TEST_F(AVisit, ThatBringsAJobIsRehearsalEnough) {
  fetch();
  EXPECT_FALSE(session_.wants_rehearsal());
  EXPECT_EQ(board_.slot(0).warm, 1U);
}

TEST_F(AVisit, SurvivesTheLossOfARehearsalsAnswer) {
  ASSERT_TRUE(session_.visit({}, {1}));
  proxy_.swallow_answers_to("postpone_start_jobs");
  session_.rehearse();
  EXPECT_TRUE(proxy_.has_swallowed_answer());
  EXPECT_EQ(board_.slot(0).warm, 0U);
  fetch();
  EXPECT_THAT(leases_, SizeIs(1)) << "nothing of the lease was in doubt";
}

}  // namespace
}  // namespace postpone::tests
