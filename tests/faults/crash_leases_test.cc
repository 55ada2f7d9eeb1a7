// Connections that are lost, leases that are gone, and families that are not heard of: no job runs twice.
#include <chrono>
#include <csignal>
#include <set>
#include <string>
#include <utility>

#include "tests/faults/faults.h"
#include "tests/support/signals.h"

namespace postpone::tests {
namespace {

using namespace std::chrono_literals;
using Crash = Faults;

TEST_F(Crash, LostConnectionsCostNoJobAndRunNoneTwice) {
  Family family(database_.url(), supervisor_keys() + group("q", kMisbehave, 4));
  family.wait_until_ready(4);
  constexpr int kJobs = 600;
  sql("SELECT count(postpone_defer('misbehave.journal', queue => 'q', args => '" +
      (R"({"ms": 2, "file": ")" + files_.file("journal") + R"("})") + "')) FROM generate_series(1, " +
      std::to_string(kJobs) + ")");
  std::string done_at_last_kill;
  int kills = 0;
  EXPECT_TRUE(eventually(
      [&] {
        const auto done = sql("SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'");
        // They get something done in between, however slow the machine is.
        if (done != std::exchange(done_at_last_kill, done) && ++kills <= 80)
          sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = "
              "current_database() AND pid <> "
              "pg_backend_pid() AND random() < 0.3");
        return done == std::to_string(kJobs);
      },
      100s))
      << family.log();
  EXPECT_GT(kills, 10);
  std::multiset<std::int64_t> started;
  for (const auto& line : read_journal(files_.file("journal")))
    if (line.what == "start") started.insert(line.job_id);
  EXPECT_EQ(started.size(), static_cast<std::size_t>(kJobs)) << "each ran exactly once";
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_jobs WHERE attempts = 1"), std::to_string(kJobs));
  EXPECT_TRUE(becomes(defer("misbehave.noop"), "succeeded")) << "and it listens again";
}

TEST_F(Crash, ALeaseThatSomebodyDeletedIsReplaced) {
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 1));
  family.wait_until_ready(1);
  EXPECT_TRUE(becomes(defer("test.tick"), "succeeded")) << family.log();
  sql("DELETE FROM procrastinate_workers");
  EXPECT_TRUE(becomes(defer("test.tick"), "succeeded")) << family.log();
}

// Nobody has work for it, and nothing is polled for: the housekeeper finds out, and says so.
TEST_F(Crash, AnIdleSubWorkerWhoseLeaseIsFoundGoneTakesAnotherAndGoesOn) {
  Family family(database_.url(), supervisor_keys(kShortSilence) + group("q", kTestTasks, 2));
  family.wait_until_ready(2);
  const auto before = sql("SELECT max(id) FROM procrastinate_workers");
  sql("DELETE FROM procrastinate_workers");
  EXPECT_TRUE(eventually([&] {
    return sql("SELECT count(*) FROM procrastinate_workers WHERE id > " + before) == "2";
  })) << family.log();
  EXPECT_TRUE(becomes(defer("test.tick"), "succeeded")) << family.log();
}

// As after a step of the server's clock: each heartbeat is old as soon as it is there, and yet they go on.
TEST_F(Crash, WhoseHeartbeatsGoOnIsNotTakenForDeadWhateverTheClockOfTheServerSays) {
  const std::string config = supervisor_keys(kShortSilence) + group("q", kTestTasks, 1);
  Family one(database_.url(), config);
  one.wait_until_ready(1);
  const auto id = defer("test.until", file_argument("go"));
  ASSERT_TRUE(becomes(id, "doing"));
  sql("CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.last_heartbeat := "
      "NEW.last_heartbeat - interval '1 hour'; RETURN NEW; END $$");
  sql("CREATE TRIGGER late BEFORE UPDATE ON procrastinate_workers FOR EACH ROW EXECUTE FUNCTION late()");
  Family two(database_.url(), config);
  two.wait_until_ready(1);
  // Long enough to have judged: by then it has taken over from somebody who is really dead.
  Family three(database_.url(), config);
  three.wait_until_ready(1);
  const auto lost = defer("test.until", file_argument("go"));
  ASSERT_TRUE(becomes(lost, "doing"));
  Family* const victim = runner_of(two, "test.until") != 0 ? &two : &three;
  victim->kill_all();
  EXPECT_TRUE(eventually([&] {
    return sql("SELECT count(*) FROM postpone_attempts WHERE cause = 'worker_lost' AND job_id = " + lost) !=
           "0";
  })) << one.log();
  EXPECT_EQ(status(id), "doing");
  touch("go");
  EXPECT_TRUE(becomes(id, "succeeded"));
  EXPECT_TRUE(becomes(lost, "succeeded"));
  EXPECT_EQ(causes(id), "succeeded") << "nobody held its worker for dead";
}

TEST_F(Crash, AnotherSupervisorTakesOverWhenAWholeFamilyIsKilled) {
  const std::string config = supervisor_keys(kShortSilence) + group("q", kTestTasks, 1);
  Family one(database_.url(), config);
  one.wait_until_ready(1);
  const auto id = defer("test.until", file_argument("go"), ", lock => 'l'");
  ASSERT_TRUE(becomes(id, "doing"));
  Family two(database_.url(), config);
  two.wait_until_ready(1);
  ASSERT_TRUE(eventually([&] {
    const auto left = one.processes();
    for (const auto& [pid, title] : left) send_signal(pid, SIGKILL);
    return left.empty();
  }));
  touch("go");
  EXPECT_TRUE(becomes(id, "succeeded")) << two.log();
  EXPECT_EQ(causes(id), "worker_lost succeeded");
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_workers"), "1");
}

}  // namespace
}  // namespace postpone::tests
