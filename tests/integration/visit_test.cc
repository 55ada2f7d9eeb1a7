// A sub-worker's visit to the database, by itself: what it does when answers are lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sql/json_text.h"
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
  sql::Job fetch() { return fetch(1).at(0); }
  std::vector<sql::Job> fetch(int jobs) {
    for (int i = 0; i < jobs; ++i) database_.execute("SELECT postpone_defer('test')");
    return session_.visit({}, {jobs}).value().fetched.jobs;
  }
  static sql::Outcome success_of(const sql::Job& job) {
    sql::Outcome success = subworker::given_back(job);
    success.action = sql::Action::succeed;
    return success;
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
  const sql::Outcome success = success_of(fetch());
  proxy_.swallow_answers_to(R"("action":"succeed")");
  const auto visit = session_.visit({sent(success)}, {0});
  EXPECT_TRUE(proxy_.has_swallowed_answer());
  ASSERT_TRUE(visit);
  ASSERT_THAT(visit->recorded, SizeIs(1));
  EXPECT_EQ(visit->recorded[0].disposition, sql::Disposition::already_recorded);
  EXPECT_THAT(leases_, SizeIs(1));
}

// Under a lease in doubt all outcomes are sent in one transaction, by the rescue.
TEST_F(AVisit, LosesNoOutcomeForTheSakeOfAnotherUnderALeaseInDoubt) {
  const std::vector<sql::Job> jobs = fetch(3);
  ASSERT_THAT(jobs, SizeIs(3));
  const std::string bad = std::to_string(jobs[1].id);
  database_.execute(
      "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'never' USING ERRCODE = "
      "'check_violation'; END $$; CREATE TRIGGER refuse BEFORE UPDATE ON procrastinate_jobs FOR EACH ROW "
      "WHEN "
      "(NEW.id = " +
      bad + " AND NEW.status = 'succeeded') EXECUTE FUNCTION refuse()");
  board_.slot(0).lost_lease.store(leases_.at(0));
  std::vector<subworker::SentOutcome> outcomes;
  for (const sql::Job& job : jobs) {
    sql::Outcome success = success_of(job);
    success.message = "more than numbers";
    outcomes.push_back(sent(success));
  }
  const auto visit = session_.visit(outcomes, {1});
  ASSERT_TRUE(visit);
  ASSERT_THAT(visit->refused, SizeIs(1));
  EXPECT_EQ(visit->refused[0].job_id, jobs[1].id);
  ASSERT_THAT(visit->recorded, SizeIs(2));
  for (const sql::Recorded& recorded : visit->recorded)
    EXPECT_EQ(recorded.disposition, sql::Disposition::recorded) << recorded.job_id;
  EXPECT_EQ(
      database_.execute("SELECT string_agg(id::text, ' ' ORDER BY id) FROM procrastinate_jobs WHERE status = "
                        "'succeeded'"),
      std::to_string(jobs[0].id) + " " + std::to_string(jobs[2].id));
  // Its next form is recorded, and the lease settled.
  sql::Outcome failure = success_of(jobs[1]);
  failure.action = sql::Action::fail;
  failure.cause = sql::Cause::exception;
  ASSERT_THAT(session_.visit({sent(failure)}, {0}).value().recorded, SizeIs(1));
  EXPECT_EQ(database_.execute("SELECT status FROM procrastinate_jobs WHERE id = " + bad), "failed");
  session_.visit({}, {1});
  EXPECT_THAT(leases_, SizeIs(2));
}

TEST_F(AVisit, GivesFollowersTheMetaThatTheyInherit) {
  sql::Outcome success = success_of(fetch());
  success.inherited_meta = R"({"tenant": "ann"})";
  for (const char* meta : {"", R"({"tenant": "bob"})", "{}"}) {
    sql::DeferRequest& follower = success.defers.emplace_back();
    follower.task = "follow";
    if (*meta != 0) follower.meta = meta;
  }
  ASSERT_TRUE(session_.visit({sent(success)}, {0}));
  EXPECT_EQ(database_.execute("SELECT string_agg(coalesce(meta->>'tenant', 'none'), ' ' ORDER BY id) FROM "
                              "procrastinate_jobs WHERE task_name = 'follow'"),
            "ann bob none");
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

// Whatever of a text is found at fault, or not, before it is sent: the server has the last word.
TEST(JsonTexts, AreThoseThatTheServerStores) {
  const TestDatabase database;
  database.execute(
      "CREATE FUNCTION stores(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM $1::jsonb; RETURN "
      "true; "
      "EXCEPTION WHEN OTHERS THEN RETURN false; END $$");
  const std::string zeros(16'382, '0');
  for (const std::string& text : std::vector<std::string>{"1e131071",
                                                          "9.9e131071",
                                                          "1e131072",
                                                          "10e131070",
                                                          "10e131071",
                                                          "0.001e131074",
                                                          "0.001e131075",
                                                          "0e131072",
                                                          "0e1073741822",
                                                          "0e1073741823",
                                                          "-1e200000",
                                                          "1e-16383",
                                                          "1e-16384",
                                                          "0e-16383",
                                                          "0e-16384",
                                                          "0.1e-16382",
                                                          "0.1e-16383",
                                                          "1e99999999999999999999",
                                                          "0." + zeros + "1",
                                                          "0." + zeros + "01",
                                                          std::string(131'072, '9'),
                                                          std::string(131'073, '9'),
                                                          "\xEF\xBB\xBF{}",
                                                          "[1, 2",
                                                          "{\"a\": 1E+2}"}) {
    const bool is_taken = !sql::mistake_in_json(text) && sql::excess_in_json(text).empty();
    EXPECT_EQ(database.execute("SELECT stores($t$" + text + "$t$)"), is_taken ? "t" : "f")
        << text.substr(0, 40);
  }
}

}  // namespace
}  // namespace postpone::tests
