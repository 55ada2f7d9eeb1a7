// Processes that die, hang or are frozen: one job at most is hit, none is lost, and nothing runs on.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>

#include "tests/faults/faults.h"
#include "tests/support/signals.h"

namespace postpone::tests {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;
using Crash = Faults;

TEST_F(Crash, AKilledTaskProcessCostsItsJobAndNoMore) {
  // An address sanitizer would turn the signal into an exit.
  Family family(
      database_.url(),
      supervisor_keys() + group("q", kTestTasks, 1, "environment = { ASAN_OPTIONS = \"handle_segv=0\" }"));
  family.wait_until_ready(1);
  const auto sub_workers = family.processes("postpone: sub-worker");
  const auto id = defer("test.until", file_argument("never"));
  ASSERT_TRUE(becomes(id, "doing"));
  const auto tasks = family.processes(kTestTasks);
  ASSERT_EQ(tasks.size(), 1u);
  send_signal(tasks.front(), SIGSEGV);
  EXPECT_TRUE(becomes(id, "failed"));
  EXPECT_EQ(causes(id), "signalled");
  EXPECT_EQ(sql("SELECT signal FROM postpone_attempts"), "11");
  EXPECT_TRUE(becomes(defer("test.tick"), "succeeded"));
  // For a moment the child that becomes a task process has the name of its parent.
  EXPECT_TRUE(eventually([&] { return family.processes("postpone: sub-worker") == sub_workers; }));
}

TEST_F(Crash, TheJobOfAKilledSubWorkerRunsAgainWhenItsTaskIsDead) {
  Family family(database_.url(), supervisor_keys() + group("q", kMisbehave, 2));
  family.wait_until_ready(2);
  const auto id = defer("misbehave.journal", R"({"ms": 3000, "file": ")" + files_.file("journal") + R"("})",
                        ", lock => 'l'");
  ASSERT_TRUE(eventually([&] { return read_journal(files_.file("journal")).size() == 1; }));
  send_signal(runner_once_it_runs(family, "misbehave.journal"), SIGKILL);
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(causes(id), "worker_lost succeeded");
  const auto journal = read_journal(files_.file("journal"));
  ASSERT_EQ(journal.size(), 3u) << "the first run never ended";
  EXPECT_NE(journal[0].pid, journal[1].pid);
  EXPECT_TRUE(eventually([&] { return family.processes("postpone: sub-worker").size() == 2; }));
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_workers"), "2") << "the dead one's lease is gone";
}

TEST_F(Crash, AJobThatKillsItsSubWorkerEachTimeIsGivenUp) {
  Family family(database_.url(), supervisor_keys("[stalled]\nmax_stalled = 2") + group("q", kTestTasks, 2));
  family.wait_until_ready(2);
  const auto id = defer("test.until", file_argument("never"));
  EXPECT_TRUE(eventually([&] {
    if (const pid_t runner = runner_of(family, "test.until")) send_signal(runner, SIGKILL);
    return status(id) == "failed";
  })) << family.log();
  EXPECT_EQ(causes(id), "worker_lost worker_lost poison");
}

TEST_F(Crash, AStoppedSubWorkerIsKilledAndReplaced) {
  Family family(database_.url(), supervisor_keys("subworker_timeout = \"2s\"") + group("q", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto id = defer("test.until", file_argument("go"));
  send_signal(runner_once_it_runs(family, "test.until"), SIGSTOP);
  touch("go");
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(causes(id), "worker_lost succeeded");
  EXPECT_THAT(family.log(), HasSubstr("no sign of life"));
}

// Nobody of the family can act: what kills here is the kernel, when the fence is passed.
TEST_F(Crash, AJobOfAFrozenFamilyIsDeadBeforeItIsThawed) {
  Family family(database_.url(), supervisor_keys(kShortSilence) + group("q", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto id = defer("test.until", file_argument("go"));
  const auto runner = runner_once_it_runs(family, "test.until");
  const auto frozen = family.processes();
  const auto tasks = family.processes(kTestTasks);
  ASSERT_EQ(tasks.size(), 1u);
  for (const auto& [pid, title] : frozen) send_signal(pid, SIGSTOP);
  EXPECT_TRUE(eventually([&] {
    const auto left = family.processes();
    return left.count(runner) == 0 && left.count(tasks.front()) == 0;
  }));
  touch("go");
  for (const auto& [pid, title] : frozen)
    if (pid != runner && pid != tasks.front()) send_signal(pid, SIGCONT);
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(causes(id), "worker_lost succeeded");
}

TEST_F(Crash, ATaskThatOutgrowsItsLimitIsKilledWithWhatItStarted) {
  Family family(database_.url(), supervisor_keys() + group("q", kMisbehave, 1, "memory_limit = \"200MiB\""));
  family.wait_until_ready(1);
  const auto small = defer("misbehave.memory", R"({"mib": 20})");
  EXPECT_TRUE(becomes(small, "succeeded")) << family.log();
  const auto large = defer("misbehave.memory", R"({"mib": 1000000})");
  EXPECT_TRUE(becomes(large, "failed")) << family.log();
  EXPECT_EQ(causes(large), "memory_limit");
  EXPECT_THAT(sql("SELECT message FROM postpone_attempts WHERE job_id = " + large),
              HasSubstr("memory_limit (200 MiB)"));
  EXPECT_TRUE(becomes(defer("misbehave.noop"), "succeeded")) << "in a fresh task process";
}

TEST_F(Crash, WhenMemoryRunsOutTasksGoFirstAndTheSupervisorLast) {
  Family family(database_.url(), supervisor_keys() + group("q", kMisbehave, 1));
  family.wait_until_ready(1);
  const auto score = [&](const std::string& title) {
    const auto found = family.processes(title);
    return found.empty() ? 0
                         : std::stoi(read_file("/proc/" + std::to_string(found.front()) + "/oom_score_adj"));
  };
  EXPECT_LT(score("postpone: supervisor"), score("postpone: sub-worker"));
  EXPECT_EQ(score("postpone: housekeeper"), score("postpone: sub-worker"));
  EXPECT_LT(score("postpone: sub-worker"), score(kMisbehave));
}

TEST_F(Crash, WhoNeverGetsReadyIsTriedWithGrowingWaitsAndTheOthersGoOn) {
  const std::string tasks = files_.file("tasks");
  std::filesystem::copy_file(kTestTasks, tasks);
  Family family(database_.url(),
                supervisor_keys("respawn_backoff = \"20ms\"\nrespawn_backoff_max = \"200ms\"") +
                    group("broken", tasks, 1) + group("q", kTestTasks, 1));
  family.wait_until_ready(2);
  std::filesystem::rename(tasks, tasks + ".new");
  std::filesystem::create_symlink("/bin/false", tasks);
  for (const pid_t pid : family.processes("postpone: sub-worker broken")) send_signal(pid, SIGKILL);
  const auto is_degraded = [&] { return !family.processes("postpone: supervisor: degraded (1 ").empty(); };
  EXPECT_TRUE(eventually(is_degraded)) << family.log();
  EXPECT_THAT(family.log(), HasSubstr("degraded: 1 of 3"));
  EXPECT_TRUE(becomes(defer("test.tick"), "succeeded")) << "the others go on";
  std::filesystem::rename(tasks + ".new", tasks);
  EXPECT_TRUE(eventually([&] { return !is_degraded(); })) << "it heals without anybody's help";
  EXPECT_EQ(family.processes("postpone: sub-worker broken").size(), 1u);
}

TEST_F(Crash, ASubWorkerThatIsBusyWithShortJobsIsNotTakenForDead) {
  Family family(database_.url(), supervisor_keys("subworker_timeout = \"4s\"") + group("q", kMisbehave, 1));
  family.wait_until_ready(1);
  const auto before = family.processes("postpone: sub-worker");
  sql("SELECT count(postpone_defer('misbehave.noop', queue => 'q')) FROM generate_series(1, 6000)");
  EXPECT_TRUE(eventually(
      [&] { return sql("SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'") == "6000"; },
      200s));
  EXPECT_EQ(family.processes("postpone: sub-worker"), before) << family.log();
}

TEST_F(Crash, NothingOfAKilledSupervisorsFamilyRunsOn) {
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 3));
  family.wait_until_ready(3);
  const auto id = defer("test.until", file_argument("go"));
  ASSERT_TRUE(becomes(id, "doing"));
  family.signal(SIGKILL);
  ASSERT_TRUE(eventually([&] { return family.processes("postpone: sub-worker").size() == 1; }))
      << "idle ones leave at once";
  const auto late = defer("test.tick");
  touch("go");
  EXPECT_TRUE(becomes(id, "succeeded")) << "what ran is finished and recorded";
  EXPECT_TRUE(eventually([&] { return family.processes().empty(); }));
  EXPECT_EQ(status(late), "todo");
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_workers"), "0");
}

// The kernel wakes a stopped group whose leader's parent dies, with a SIGHUP on top.
TEST_F(Crash, NothingOfAFrozenFamilyRunsOnWhenItsSupervisorIsKilled) {
  Family family(database_.url(), supervisor_keys("shutdown_grace = \"500ms\"") +
                                     group("q", kTestTasks, 2, "abort_grace = \"100ms\""));
  family.wait_until_ready(2);
  ASSERT_TRUE(becomes(defer("test.daemon", file_argument("journal")), "doing"));
  ASSERT_TRUE(eventually([&] { return family.processes(kTestTasks).size() == 3; })) << "two tasks, a daemon";
  const auto frozen = family.processes();
  for (const auto& [pid, title] : frozen) send_signal(pid, SIGSTOP);
  family.signal(SIGKILL);
  for (const auto& [pid, title] : frozen) send_signal(pid, SIGCONT);
  EXPECT_TRUE(eventually([&] { return family.processes().empty(); })) << family.log();
}

TEST_F(Crash, AHangUpIsLeftToTheSupervisor) {
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto members = family.processes("postpone: ");
  for (const pid_t pid : members) send_signal(pid, SIGHUP);
  EXPECT_TRUE(becomes(defer("test.tick"), "succeeded")) << family.log();
  EXPECT_TRUE(eventually([&] {
    return family.log().find("is in force: nothing has changed") != std::string::npos;
  })) << family.log();
  EXPECT_EQ(family.processes("postpone: "), members);
}

TEST_F(Crash, AKilledHousekeeperIsReplacedAndKnowsWhatIsScheduled) {
  Family family(database_.url(), supervisor_keys() + group("q", kMisbehave, 1));
  family.wait_until_ready(1);
  const auto id = defer("misbehave.noop", "{}", ", scheduled_at => now() + interval '2 s'");
  const auto housekeeper = family.processes("postpone: housekeeper");
  ASSERT_EQ(housekeeper.size(), 1u);
  send_signal(housekeeper.front(), SIGKILL);
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
}

TEST_F(Crash, AHungHousekeeperIsReplacedBeforeItsHeartbeatsAreMissed) {
  Family family(
      database_.url(),
      supervisor_keys("heartbeat_interval = \"500ms\"\nfence_after = \"12s\"\nstalled_after = \"20s\"") +
          group("q", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto id = defer("test.until", file_argument("go"));
  ASSERT_TRUE(becomes(id, "doing"));
  const auto hung = family.processes("postpone: housekeeper");
  ASSERT_EQ(hung.size(), 1u);
  send_signal(hung.front(), SIGSTOP);
  EXPECT_TRUE(eventually([&] {
    const auto now = family.processes("postpone: housekeeper: waiting");
    return now.size() == 1 && now != hung;
  })) << family.log();
  touch("go");
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(causes(id), "succeeded") << "nobody was fenced";
}

}  // namespace
}  // namespace postpone::tests
