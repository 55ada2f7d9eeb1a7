// A server that restarts, is away, or takes no connections: no job is lost, none is recorded twice.
#include <iostream>
#include <thread>
#include <vector>

#include "sql/connection.h"
#include "tests/faults/faults.h"
#include "tests/faults/outage_story.h"
#include "tests/support/private_server.h"

namespace postpone::tests {
namespace {

using namespace std::chrono_literals;

// --- a server of our own, that goes and comes back ---

class Outage : public OutageStory {
 protected:
  Outage() { apply_schema(); }
  std::string url() const override { return server_.url(); }

  PrivateServer server_;
};

class ARestart : public Outage, public testing::WithParamInterface<const char*> {};

INSTANTIATE_TEST_SUITE_P(Of, ARestart, testing::Values("fast", "immediate"),
                         [](const auto& one) { return std::string(one.param); });

TEST_P(ARestart, LosesNoJobAndRunsNoneTwice) {
  constexpr int kJobs = 300;
  constexpr int kLocks = 5;
  Family family(url(), supervisor_keys() + group("q", kMisbehave, 4));
  family.wait_until_ready(4);
  const auto before = family.processes("postpone: sub-worker");
  defer_with_locks(kJobs, kLocks, 5);
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(some_more_succeed()) << family.log();
    server_.stop(GetParam());
    server_.start();
  }
  EXPECT_TRUE(all_succeed(kJobs)) << family.log();
  expect_each_ran_once(kJobs, kLocks);
  expect_each_recorded_once(kJobs);
  // Once more at least: two restarts may follow each other before it has come back after the first.
  EXPECT_TRUE(listens_again(family, 2)) << family.log();
  EXPECT_TRUE(becomes(defer("misbehave.noop"), "succeeded")) << "heard of, as nobody polls\n" << family.log();
  EXPECT_EQ(family.processes("postpone: sub-worker"), before) << "nobody has exited\n" << family.log();
}

// How long after the server accepts connections the first job starts: told, not judged, as it depends on the
// machine.
TEST_P(ARestart, IsFollowedByTheFirstJobSoon) {
  Family family(url(), supervisor_keys() + group("q", kMisbehave, 2));
  family.wait_until_ready(2);
  server_.stop(GetParam());
  // POSTPONE_OUTAGE_SECONDS prolongs it for whoever measures.
  const char* seconds = std::getenv("POSTPONE_OUTAGE_SECONDS");
  std::this_thread::sleep_for(std::chrono::seconds(seconds ? std::atoi(seconds) : 2));
  server_.start_without_waiting();
  std::chrono::steady_clock::time_point accepted;
  ASSERT_TRUE(eventually([&] {
    try {
      sql("SELECT 1");
      accepted = std::chrono::steady_clock::now();
      return true;
    } catch (const std::runtime_error&) {
      return false;
    }
  }));
  const auto id = defer("misbehave.journal", R"({"ms": 300, "file": ")" + files_.file("journal") + R"("})");
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(causes(id), "succeeded") << "not killed as fenced, and not run twice\n" << family.log();
  const auto journal = read_journal(files_.file("journal"));
  ASSERT_EQ(journal.size(), 2u);
  const auto ms =
      (journal[0].at_ns - std::chrono::nanoseconds(accepted.time_since_epoch()).count()) / 1000000;
  RecordProperty("first_job_after_ms", static_cast<int>(ms));
  std::cout << "first job after " << ms << " ms\n";
}

TEST_F(Outage, ATaskIsKilledBeforeAnotherHostMayTakeItsJob) {
  Family family(url(), supervisor_keys(kShortSilence) + group("q", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto id = defer("test.until", file_argument("go"));
  ASSERT_TRUE(becomes(id, "doing"));
  const auto task = family.processes(kTestTasks);
  ASSERT_EQ(task.size(), 1u);
  server_.stop("immediate");
  EXPECT_TRUE(eventually([&] {
    const auto living = family.processes();
    return living.find(task.front()) == living.end();
  })) << family.log();
  EXPECT_TRUE(eventually([&] { return family.log().find("could not keep its lease") != std::string::npos; }));
  touch("go");
  server_.start();
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
}

// Whoever looked for work while the host was fenced found nothing to do: somebody has to wake it afterwards.
TEST_F(Outage, AfterAFenceIdleSubWorkersAreWoken) {
  Family family(url(), supervisor_keys(kShortSilence) + group("q", kTestTasks, 2));
  family.wait_until_ready(2);
  std::size_t seen = 0;  // of the log
  for (int round = 0; round < 3; ++round) {
    const std::string go = "go" + std::to_string(round);
    const auto held = defer("test.until", file_argument(go));
    ASSERT_TRUE(becomes(held, "doing"));
    server_.stop("fast");
    ASSERT_TRUE(eventually([&] {
      return family.log().find("could not keep its lease", seen) != std::string::npos;
    })) << "the host is fenced";
    seen = family.log().size();
    server_.start();
    const auto id = defer("test.tick");
    EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
    EXPECT_EQ(causes(id), "succeeded") << family.log();
    touch(go);
    EXPECT_TRUE(becomes(held, "succeeded")) << family.log();
  }
}

// A minute as it is: the outcome has to outlast every wait and limit that is shorter.
TEST_F(Outage, TheFinishOfAJobSurvivesAMinuteWithoutAServer) {
  Family family(url(), supervisor_keys() + group("q", kTestTasks, 2));
  family.wait_until_ready(2);
  const auto id = defer("test.until", file_argument("go"));
  ASSERT_TRUE(becomes(id, "doing"));
  const auto before = family.processes("postpone: sub-worker");
  server_.stop("immediate");
  touch("go");
  std::this_thread::sleep_for(60s);
  server_.start();
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(causes(id), "succeeded");
  EXPECT_EQ(family.processes("postpone: sub-worker"), before) << "no process has exited meanwhile\n"
                                                              << family.log();
  EXPECT_TRUE(becomes(defer("test.tick"), "succeeded")) << "and work goes on\n" << family.log();
  EXPECT_LT(count_of(family.log(), "[warning]"), 40) << "an outage floods no log\n" << family.log();
}

// --- too many connections ---

TEST_F(Outage, TooManyConnectionsAreWaitedFor) {
  server_.set("max_connections = 12");  // three of them reserved for superusers, as the test is one
  server_.stop("fast");
  server_.start();
  sql("CREATE ROLE cook LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO cook; "
      "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO cook");
  const std::string cook = url() + " user=cook";
  Family family(cook, supervisor_keys() + group("q", kTestTasks, 2));
  family.wait_until_ready(2);
  const auto before = family.processes("postpone: sub-worker");
  const auto id = defer("test.until", file_argument("go"));
  ASSERT_TRUE(becomes(id, "doing"));

  // Others take every place that is not reserved; those that the family holds are ended until they have all.
  std::vector<sql::Connection> others;
  sql::ConnectOptions another;
  another.url = cook;
  another.application_name = "another";
  EXPECT_TRUE(eventually([&] {
    try {
      others.emplace_back(another);
    } catch (const sql::DatabaseError&) {
      sql("SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity "
          "WHERE usename = 'cook' AND application_name <> 'another'");
    }
    return others.size() == 9;
  }));
  touch("go");
  EXPECT_TRUE(eventually([&] {
    return family.log().find("(SQLSTATE 53300); the outcome is kept") != std::string::npos;
  })) << family.log();
  EXPECT_EQ(status(id), "doing");
  others.clear();
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(causes(id), "succeeded");
  EXPECT_TRUE(becomes(defer("test.tick"), "succeeded")) << family.log();
  EXPECT_EQ(family.processes("postpone: sub-worker"), before) << family.log();
}

TEST_F(Outage, ARoleThatMayNotConnectAnyMoreWaitsUntilItMay) {
  sql("CREATE ROLE cook LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO cook; "
      "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO cook");
  Family family(url() + " user=cook", supervisor_keys() + group("q", kTestTasks, 2));
  family.wait_until_ready(2);
  const auto id = defer("test.until", file_argument("go"));
  ASSERT_TRUE(becomes(id, "doing"));
  sql("ALTER ROLE cook CONNECTION LIMIT 0");
  sql("SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE usename = 'cook'");
  touch("go");
  EXPECT_TRUE(eventually([&] {
    return count_of(family.log(), "too many connections for role \"cook\"") >= 3;
  })) << family.log();
  EXPECT_EQ(status(id), "doing");
  sql("ALTER ROLE cook CONNECTION LIMIT -1");
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(causes(id), "succeeded");
  EXPECT_TRUE(becomes(defer("test.tick"), "succeeded")) << family.log();
}

}  // namespace
}  // namespace postpone::tests
