// What happens when the database is gone, slow, full or somewhere else: no job is lost, none is recorded
// twice.
#include <fstream>
#include <iostream>
#include <memory>
#include <set>
#include <sstream>
#include <thread>
#include <vector>

#include "sql/connection.h"
#include "tests/faults/faults.h"
#include "tests/support/private_server.h"
#include "tests/support/program.h"
#include "tests/support/small_disk.h"
#include "tests/support/tcp_proxy.h"

namespace postpone::tests {
namespace {

using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

int count_of(const std::string& text, const std::string& what) {
  int count = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

bool listens_again(const Family& family, int times) {
  return eventually([&] { return count_of(family.log(), "] listening") >= times; });
}

// On a database that may be gone for a while.
class OutageStory : public FaultStory {
 protected:
  virtual std::string url() const = 0;
  std::string sql(const std::string& statement) const override { return tests::execute(url(), statement); }

  void apply_schema() const {
    const auto run = run_program({POSTPONE_CLI, "schema", "apply", "--database-url", url()});
    if (run.exit_status != 0) throw std::runtime_error(run.errors);
  }

  // So many journal jobs of so many locks; what each lock's jobs do stands in a file of its own.
  void defer_with_locks(int jobs, int locks, int ms) const {
    std::ostringstream statement;
    statement << "SELECT count(postpone_defer('misbehave.journal', queue => 'q', lock => 'lock' || n % "
              << locks << ", args => jsonb_build_object('ms', " << ms << ", 'file', '"
              << files_.file("journal") << "' || n % " << locks << "))) FROM generate_series(1, " << jobs
              << ") AS n";
    sql(statement.str());
  }
  std::string in_state(const std::string& status) const {
    return sql("SELECT count(*) FROM procrastinate_jobs WHERE status = '" + status + "'");
  }
  bool all_succeed(int jobs, std::chrono::seconds limit = 60s) const {
    return eventually([&] { return in_state("succeeded") == std::to_string(jobs); }, limit);
  }
  bool some_more_succeed() const {
    const int before = std::stoi(in_state("succeeded"));
    return eventually([&] { return std::stoi(in_state("succeeded")) >= before + 5; });
  }

  // Every job of a lock began when the one before had ended, in order, and once; so many in all.
  void expect_each_ran_once(int jobs, int locks) const {
    int ran = 0;
    for (int lock = 0; lock < locks; ++lock) {
      const auto journal = read_journal(files_.file("journal" + std::to_string(lock)));
      std::int64_t last = 0;
      for (std::size_t i = 0; i < journal.size(); ++i) {
        const bool begins = i % 2 == 0;
        EXPECT_EQ(journal[i].what, begins ? "start" : "end") << "lock " << lock << ", line " << i + 1;
        if (begins) {
          EXPECT_GT(journal[i].job_id, last) << "lock " << lock << ", line " << i + 1;
        } else {
          EXPECT_EQ(journal[i].job_id, last) << "lock " << lock << ", line " << i + 1;
        }
        last = journal[i].job_id;
      }
      ran += static_cast<int>(journal.size()) / 2;
    }
    EXPECT_EQ(ran, jobs);
  }
  void expect_each_recorded_once(int jobs) const {
    EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded' AND attempts = 1"),
              std::to_string(jobs));
    EXPECT_EQ(sql("SELECT count(*) FROM postpone_attempts"), std::to_string(jobs));
    EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_events WHERE type = 'succeeded'"),
              std::to_string(jobs));
  }
};

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

// --- full disks ---

class FullDisk : public OutageStory {
 protected:
  void SetUp() override {
    if (!disk_.refusal().empty()) GTEST_SKIP() << disk_.refusal();
    server_ = std::make_unique<PrivateServer>();
  }
  std::string url() const override { return server_->url() + " dbname=" + database_; }

  SmallDisk disk_{96};
  std::unique_ptr<PrivateServer> server_;
  std::string database_ = "postgres";
};

TEST_F(FullDisk, OfTablesKeepsOutcomesUntilThereIsRoom) {
  run_program({"install", "-d", "-o", "postgres", disk_.path("tables")});
  server_->execute("CREATE TABLESPACE small LOCATION '" + disk_.path("tables") + "'");
  server_->execute("CREATE DATABASE kitchen TABLESPACE small");
  database_ = "kitchen";
  apply_schema();
  Family family(url(), supervisor_keys() + group("q", kTestTasks, 2));
  family.wait_until_ready(2);
  const auto id = defer("test.until", file_argument("go"));
  ASSERT_TRUE(becomes(id, "doing"));
  ASSERT_EQ(sql("SELECT pg_relation_size('postpone_attempts')"), "0") << "the first attempt needs a new page";
  disk_.fill();
  touch("go");
  EXPECT_TRUE(eventually([&] { return family.log().find("(SQLSTATE 53100)") != std::string::npos; }))
      << family.log();
  EXPECT_THAT(family.log(), HasSubstr("the outcome is kept"));
  EXPECT_EQ(status(id), "doing");
  disk_.clear();
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(causes(id), "succeeded");
  EXPECT_TRUE(becomes(defer("test.tick"), "succeeded")) << family.log();
}

// Then the server itself gives up, and comes back when there is room again.
TEST_F(FullDisk, OfTheLogOfTheServerCostsNothingEither) {
  constexpr int kJobs = 60;
  constexpr int kLocks = 3;
  apply_schema();
  server_->stop("fast");
  const std::string wal = server_->directory() + "data/pg_wal";
  ASSERT_EQ(run_program({"cp", "-a", wal, disk_.path("wal")}).exit_status, 0);
  ASSERT_EQ(run_program({"rm", "-r", wal}).exit_status, 0);
  ASSERT_EQ(run_program({"ln", "-s", disk_.path("wal"), wal}).exit_status, 0);
  server_->start();
  Family family(url(), supervisor_keys() + group("q", kMisbehave, 2));
  family.wait_until_ready(2);
  const auto before = family.processes("postpone: sub-worker");
  defer_with_locks(kJobs, kLocks, 20);
  ASSERT_TRUE(some_more_succeed()) << family.log();
  disk_.fill();
  const auto is_down = [&] {
    try {
      sql("SELECT pg_switch_wal()");
      sql("CREATE TABLE rubbish AS SELECT repeat('x', 1000) FROM generate_series(1, 1000)");
      sql("DROP TABLE rubbish");
      return false;
    } catch (const std::runtime_error&) {
      return true;
    }
  };
  EXPECT_TRUE(eventually(is_down));
  disk_.clear();
  try {
    server_->stop("immediate");  // it may have ended, or may be trying to recover
  } catch (const std::runtime_error&) {
  }
  server_->start();
  EXPECT_TRUE(all_succeed(kJobs)) << family.log();
  expect_each_ran_once(kJobs, kLocks);
  expect_each_recorded_once(kJobs);
  EXPECT_EQ(family.processes("postpone: sub-worker"), before) << family.log();
}

// --- a server that only reads ---

using ReadOnly = Faults;

TEST_F(ReadOnly, ADatabaseThatTakesNoWritesIsWaitedFor) {
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 2));
  family.wait_until_ready(2);
  const auto id = defer("test.until", file_argument("go"));
  ASSERT_TRUE(becomes(id, "doing"));
  const std::string terminate =
      "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE datname = current_database() AND "
      "pid <> pg_backend_pid()";
  sql("ALTER DATABASE " + database_.name() + " SET default_transaction_read_only = on");
  sql(terminate);
  touch("go");
  EXPECT_TRUE(eventually([&] { return family.log().find("(SQLSTATE 25006)") != std::string::npos; }))
      << family.log();
  EXPECT_EQ(status(id), "doing");
  sql("BEGIN READ WRITE; ALTER DATABASE " + database_.name() +
      " RESET default_transaction_read_only; COMMIT");
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(causes(id), "succeeded");
  EXPECT_TRUE(becomes(defer("test.tick"), "succeeded")) << family.log();
}

// --- another server takes over ---

class Failover : public OutageStory {
 protected:
  Failover() {
    apply_schema();
    standby_ = std::make_unique<PrivateServer>(PrivateServer::StandbyOf{primary_});
  }
  std::string url() const override {
    const std::string second = standby_ ? "," + standby_->directory() : "";
    return "host=" + primary_.directory() + second +
           " user=postgres dbname=postgres target_session_attrs=read-write";
  }
  bool standby_streams() const {
    return eventually([&] { return primary_.execute("SELECT count(*) FROM pg_stat_replication") == "1"; });
  }
  // From here on the standby hears of nothing.
  void cut_off_the_standby() {
    standby_->execute("ALTER SYSTEM SET primary_conninfo = ''");
    standby_->reload();
    ASSERT_TRUE(
        eventually([&] { return primary_.execute("SELECT count(*) FROM pg_stat_replication") == "0"; }));
  }
  bool is_listened_to() const {
    return eventually([&] {
      return standby_->execute(
                 "SELECT count(*) FROM pg_stat_activity WHERE application_name = "
                 "'postpone supervisor'") == "1";
    });
  }

  PrivateServer primary_;
  std::unique_ptr<PrivateServer> standby_;
};

TEST_F(Failover, ToASynchronousStandbyLosesNoJobAndRunsNoneTwice) {
  constexpr int kJobs = 200;
  constexpr int kLocks = 5;
  ASSERT_TRUE(standby_streams());
  primary_.set("synchronous_standby_names = '*'");
  primary_.reload();
  Family family(url(), supervisor_keys("heartbeat_interval = \"200ms\"") + group("q", kMisbehave, 4) +
                           "[[group]]\nname = \"held\"\nexecutable = \"" + kTestTasks +
                           "\"\nqueues = [\"held\"]\n");
  family.wait_until_ready(5);
  const auto before = family.processes("postpone: sub-worker");
  const auto in_flight = sql("SELECT postpone_defer('test.until', '" + file_argument("go") + "', 'held')");
  ASSERT_TRUE(becomes(in_flight, "doing"));
  defer_with_locks(kJobs, kLocks, 5);
  ASSERT_TRUE(some_more_succeed()) << family.log();

  primary_.stop("immediate");
  touch("go");
  standby_->promote();
  EXPECT_TRUE(all_succeed(kJobs + 1)) << family.log();
  expect_each_ran_once(kJobs, kLocks);
  expect_each_recorded_once(kJobs + 1);
  EXPECT_TRUE(is_listened_to()) << family.log();
  EXPECT_TRUE(becomes(defer("misbehave.noop"), "succeeded")) << "heard of, as nobody polls\n" << family.log();
  EXPECT_EQ(family.processes("postpone: sub-worker"), before) << family.log();
  const auto beat = sql("SELECT max(last_heartbeat) FROM procrastinate_workers");
  EXPECT_TRUE(eventually([&] { return sql("SELECT min(last_heartbeat) FROM procrastinate_workers") > beat; }))
      << "every lease is kept alive there\n"
      << family.log();
}

// Nothing can bring back what the new primary has never heard of. Its jobs are what they were, and run again.
TEST_F(Failover, WhatAnAsynchronousStandbyNeverHeardOfIsDoneAgain) {
  constexpr int kJobs = 20;
  defer_with_locks(kJobs, 2, 5);
  ASSERT_TRUE(standby_streams());
  ASSERT_TRUE(eventually([&] {
    return primary_.execute("SELECT pg_current_wal_lsn()") ==
           standby_->execute("SELECT pg_last_wal_replay_lsn()");
  }));
  cut_off_the_standby();
  Family family(url(), supervisor_keys() + group("q", kMisbehave, 4));
  family.wait_until_ready(4);
  ASSERT_TRUE(all_succeed(kJobs)) << family.log();

  primary_.stop("immediate");
  standby_->promote();
  EXPECT_TRUE(all_succeed(kJobs)) << family.log();
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_jobs WHERE attempts = 1"), std::to_string(kJobs));
  EXPECT_TRUE(is_listened_to()) << family.log();
  EXPECT_TRUE(becomes(defer("misbehave.noop"), "succeeded")) << family.log();
}

// The old primary lives on, and so do our connections to it.
TEST_F(Failover, AnOldPrimaryThatOnlyReadsIsLeftForTheNewOne) {
  ASSERT_TRUE(standby_streams());
  Family family(url(), supervisor_keys() + group("q", kTestTasks, 2));
  family.wait_until_ready(2);
  const auto id = defer("test.until", file_argument("go"));
  ASSERT_TRUE(becomes(id, "doing"));
  ASSERT_TRUE(eventually([&] {
    return standby_->execute("SELECT status FROM procrastinate_jobs WHERE id = " + id) == "doing";
  }));
  primary_.set("default_transaction_read_only = on");
  primary_.reload();
  standby_->promote();
  touch("go");
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_TRUE(is_listened_to()) << family.log();
  EXPECT_TRUE(becomes(defer("test.tick"), "succeeded")) << family.log();
}

// --- connections in which words disappear ---

class HalfOpen : public Faults {
 protected:
  std::string proxied() const {
    return database_.url() + " host=127.0.0.1 port=" + std::to_string(proxy_.port());
  }
  static std::string impatient() {
    return "[database]\nconnect_timeout = \"2s\"\nstatement_timeout = \"2s\"\n" + supervisor_keys();
  }
  std::string journal_argument() const { return R"({"ms": 5, "file": ")" + files_.file("journal") + R"("})"; }
  std::multiset<std::int64_t> started() const {
    std::multiset<std::int64_t> ids;
    for (const auto& line : read_journal(files_.file("journal")))
      if (line.what == "start") ids.insert(line.job_id);
    return ids;
  }

  TcpProxy proxy_{database_.execute("SHOW unix_socket_directories"), database_.execute("SHOW port")};
};

TEST_F(HalfOpen, AConnectionThatSwallowsEverythingIsGivenUp) {
  Family family(proxied(), impatient() + group("q", kTestTasks, 2));
  family.wait_until_ready(2);
  const auto id = defer("test.until", file_argument("go"));
  ASSERT_TRUE(becomes(id, "doing"));
  proxy_.swallow_everything();
  touch("go");
  EXPECT_TRUE(eventually([&] { return count_of(family.log(), "no answer from the database") >= 1; }))
      << family.log();
  EXPECT_EQ(status(id), "doing");
  proxy_.heal();
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(causes(id), "succeeded") << "one execution, recorded once";
  EXPECT_TRUE(listens_again(family, 2)) << family.log();
  EXPECT_TRUE(becomes(defer("test.tick"), "succeeded")) << "heard of, as nobody polls\n" << family.log();
}

TEST_F(HalfOpen, AFetchWhoseAnswerIsLostIsGivenBackAndRunsOnce) {
  Family family(proxied(), impatient() + group("q", kMisbehave, 1));
  family.wait_until_ready(1);
  proxy_.swallow_answers_to("postpone_fetch_jobs");
  const auto id = defer("misbehave.journal", journal_argument());
  ASSERT_TRUE(eventually([&] { return proxy_.has_swallowed_answer() && status(id) == "doing"; }))
      << "the server has committed it\n"
      << family.log();
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(causes(id), "succeeded");
  EXPECT_EQ(started().size(), 1u);
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_workers"), "1") << "the doubtful lease is gone";
}

TEST_F(HalfOpen, AFinishWhoseAnswerIsLostIsLookedUp) {
  Family family(proxied(), impatient() + group("q", kMisbehave, 1, "fresh_process_per_job = true"));
  family.wait_until_ready(1);
  proxy_.swallow_answers_to(R"("action":"succeed")");
  const auto id = defer("misbehave.journal", journal_argument());
  ASSERT_TRUE(eventually([&] { return proxy_.has_swallowed_answer() && status(id) == "succeeded"; }))
      << "the server has committed it\n"
      << family.log();
  EXPECT_TRUE(becomes(defer("misbehave.noop"), "succeeded")) << family.log();
  EXPECT_EQ(causes(id), "succeeded");
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_events WHERE type = 'succeeded' AND job_id = " + id),
            "1");
  EXPECT_EQ(started().size(), 1u);
  EXPECT_THAT(family.log(), Not(HasSubstr("outcome dropped")));
}

TEST_F(HalfOpen, AFinishAndAFetchWhoseAnswerIsLostAreSettledTogether) {
  Family family(proxied(), impatient() + group("q", kMisbehave, 1));
  family.wait_until_ready(1);
  proxy_.swallow_answers_to(R"("action":"succeed")");
  constexpr int kJobs = 3;
  sql("SELECT count(postpone_defer('misbehave.journal', '" + journal_argument() +
      "', 'q')) FROM generate_series(1, " + std::to_string(kJobs) + ")");
  ASSERT_TRUE(eventually([&] {
    return proxy_.has_swallowed_answer() &&
           sql("SELECT string_agg(status::text, ' ' ORDER BY id) FROM procrastinate_jobs") ==
               "succeeded doing todo";
  })) << "the first recorded, the second fetched by somebody who does not know\n"
      << family.log();
  EXPECT_TRUE(eventually([&] {
    return sql("SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded' AND attempts = 1") ==
           std::to_string(kJobs);
  })) << family.log();
  EXPECT_EQ(started().size(), std::size_t{kJobs}) << "each once";
  EXPECT_EQ(sql("SELECT count(*) FROM postpone_attempts"), std::to_string(kJobs));
  EXPECT_THAT(family.log(), Not(HasSubstr("outcome dropped")));
}

}  // namespace
}  // namespace postpone::tests
