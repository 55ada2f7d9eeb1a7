// What happens when processes die or hang: one job at most is hit, none is lost, and nothing is left behind.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "tests/faults/faults.h"

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
  ::kill(tasks.front(), SIGSEGV);
  EXPECT_TRUE(becomes(id, "failed"));
  EXPECT_EQ(causes(id), "signalled");
  EXPECT_EQ(sql("SELECT signal FROM postpone_attempts"), "11");
  EXPECT_TRUE(becomes(defer("test.tick"), "succeeded"));
  EXPECT_EQ(family.processes("postpone: sub-worker"), sub_workers);
}

TEST_F(Crash, TheJobOfAKilledSubWorkerRunsAgainWhenItsTaskIsDead) {
  Family family(database_.url(), supervisor_keys() + group("q", kMisbehave, 2));
  family.wait_until_ready(2);
  const auto id = defer("misbehave.journal", R"({"ms": 3000, "file": ")" + files_.file("journal") + R"("})",
                        ", lock => 'l'");
  ASSERT_TRUE(eventually([&] { return read_journal(files_.file("journal")).size() == 1; }));
  ::kill(runner_of(family, "misbehave.journal"), SIGKILL);
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
    if (const pid_t runner = runner_of(family, "test.until")) ::kill(runner, SIGKILL);
    return status(id) == "failed";
  })) << family.log();
  EXPECT_EQ(causes(id), "worker_lost worker_lost poison");
}

TEST_F(Crash, AStoppedSubWorkerIsKilledAndReplaced) {
  Family family(database_.url(), supervisor_keys("subworker_timeout = \"2s\"") + group("q", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto id = defer("test.until", file_argument("go"));
  ASSERT_TRUE(eventually([&] { return runner_of(family, "test.until") != 0; }));
  ::kill(runner_of(family, "test.until"), SIGSTOP);
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
  ASSERT_TRUE(eventually([&] { return runner_of(family, "test.until") != 0; }));
  const auto frozen = family.processes();
  const auto runner = runner_of(family, "test.until");
  const auto tasks = family.processes(kTestTasks);
  ASSERT_EQ(tasks.size(), 1u);
  for (const auto& [pid, title] : frozen) ::kill(pid, SIGSTOP);
  EXPECT_TRUE(eventually([&] {
    const auto left = family.processes();
    return left.count(runner) == 0 && left.count(tasks.front()) == 0;
  }));
  touch("go");
  for (const auto& [pid, title] : frozen)
    if (pid != runner && pid != tasks.front()) ::kill(pid, SIGCONT);
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
  for (const pid_t pid : family.processes("postpone: sub-worker broken")) ::kill(pid, SIGKILL);
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

TEST_F(Crash, DrainingLetsTheRunningJobEnd) {
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 2));
  family.wait_until_ready(2);
  const auto id = defer("test.until", file_argument("go"));
  ASSERT_TRUE(becomes(id, "doing"));
  family.signal(SIGTERM);
  ASSERT_TRUE(eventually([&] { return family.processes("postpone: sub-worker").size() == 1; }))
      << "the idle one has left";
  const auto late = defer("test.tick");
  touch("go");
  EXPECT_EQ(family.wait().code, 0);
  EXPECT_EQ(status(id), "succeeded");
  EXPECT_EQ(status(late), "todo");
  EXPECT_TRUE(family.processes().empty());
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_workers"), "0");
}

TEST_F(Crash, ASecondSignalMeansNowAndTheJobWaitsAgain) {
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 2));
  family.wait_until_ready(2);
  const auto id = defer("test.until", file_argument("never"));
  ASSERT_TRUE(becomes(id, "doing"));
  family.signal(SIGTERM);
  ASSERT_TRUE(eventually([&] { return family.log().find("draining") != std::string::npos; }));
  family.signal(SIGTERM);
  EXPECT_EQ(family.wait().code, 0) << family.log();
  EXPECT_EQ(status(id), "todo");
  EXPECT_EQ(causes(id), "aborted");
  EXPECT_TRUE(family.processes().empty());
}

TEST_F(Crash, WhenTheGraceIsOverAJobIsToldToStopAndWaitsAgain) {
  Family family(database_.url(), supervisor_keys("shutdown_grace = \"200ms\"") + group("q", kMisbehave, 1));
  family.wait_until_ready(1);
  const auto id = defer("misbehave.wait", R"({"ms": 600000})");
  ASSERT_TRUE(becomes(id, "doing"));
  EXPECT_EQ(family.stop().code, 0) << family.log();
  EXPECT_EQ(status(id), "todo");
  EXPECT_THAT(sql("SELECT message FROM postpone_attempts"), HasSubstr("shut down"));
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
  for (const auto& [pid, title] : frozen) ::kill(pid, SIGSTOP);
  family.signal(SIGKILL);
  for (const auto& [pid, title] : frozen) ::kill(pid, SIGCONT);
  EXPECT_TRUE(eventually([&] { return family.processes().empty(); })) << family.log();
}

TEST_F(Crash, AHangUpIsLeftToTheSupervisor) {
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto members = family.processes("postpone: ");
  for (const pid_t pid : members) ::kill(pid, SIGHUP);
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
  ::kill(housekeeper.front(), SIGKILL);
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
  ::kill(hung.front(), SIGSTOP);
  EXPECT_TRUE(eventually([&] {
    const auto now = family.processes("postpone: housekeeper: waiting");
    return now.size() == 1 && now != hung;
  })) << family.log();
  touch("go");
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(causes(id), "succeeded") << "nobody was fenced";
}

TEST_F(Crash, ADaemonThatAJobForkedAwayDoesNotSurvive) {
  Family family(database_.url(), supervisor_keys() + group("q", kMisbehave, 1));
  family.wait_until_ready(1);
  ASSERT_TRUE(becomes(defer("misbehave.forkaway"), "succeeded"));
  EXPECT_EQ(family.processes(kMisbehave).size(), 1u) << "the task process alone is left";
  EXPECT_THAT(family.log(), HasSubstr("had left behind"));
}

// A backlog leaves no idle moment in which to look for daemons, and the next job of a lock comes at once.
TEST_F(Crash, ADaemonIsDeadBeforeTheNextJobOfItsLockStarts) {
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 1));
  family.wait_until_ready(1);
  constexpr int kPairs = 10;
  sql("SELECT count(postpone_defer(task, queue => 'q', lock => 'l', args => '{\"ms\": 4, \"file\": \"" +
      files_.file("journal") + "\"}')) FROM generate_series(1, " + std::to_string(kPairs) +
      ") pair, unnest(ARRAY['test.daemon', 'test.beat']) task");
  ASSERT_TRUE(eventually([&] {
    return sql("SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'") ==
           std::to_string(2 * kPairs);
  })) << family.log();
  std::map<std::int64_t, std::int64_t> first;
  std::map<std::int64_t, std::int64_t> last;
  for (const JournalLine& line : read_journal(files_.file("journal"))) {
    first.try_emplace(line.job_id, line.at_ns);
    last[line.job_id] = std::max(last[line.job_id], line.at_ns);
  }
  ASSERT_EQ(first.size(), static_cast<std::size_t>(2 * kPairs));
  for (auto next = std::next(first.begin()); next != first.end(); ++next)
    EXPECT_LT(last.at(std::prev(next)->first), next->second) << "job " << next->first;
}

// Whichever way it was started, and whoever its parent is by now.
TEST_F(Crash, NothingThatAJobStartedIsAliveWhenTheNextJobOfItsLockRuns) {
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 2));
  family.wait_until_ready(2);
  std::string last;
  for (const std::string way :
       {"fork", "posix_spawn", "popen", "shell", "session", "double fork", "subreaper"}) {
    const std::string file = files_.file(way.substr(0, way.find(' ')));
    defer("test.leave", R"({"way": ")" + way + R"(", "file": ")" + file + R"("})", ", lock => '" + way + "'");
    last = defer("test.gone", R"({"file": ")" + file + R"("})", ", lock => '" + way + "'");
    EXPECT_TRUE(becomes(last, "succeeded")) << way << '\n' << family.log();
  }
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"), "14") << family.log();
  EXPECT_EQ(family.processes(kTestTasks).size(), 2u) << "the task processes live on";
  EXPECT_THAT(family.log(), HasSubstr("had left behind"));
}

TEST_F(Crash, WhatALeftChildWritesIsNeitherSaidByNorChargedToTheNextJob) {
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 1, "max_output = \"64KiB\""));
  family.wait_until_ready(1);
  const auto talker =
      defer("test.leave", R"({"way": "chatter", "file": ")" + files_.file("pid") + R"("})", ", lock => 'l'");
  const auto next = defer("test.until", file_argument("go"), ", lock => 'l'");
  ASSERT_TRUE(becomes(next, "doing")) << family.log();
  EXPECT_TRUE(becomes(talker, "succeeded")) << family.log();
  const auto said = [&](const std::string& id) {
    const std::string log = family.log();
    return log.find("job " + id + " test.leave stdout: chatter") != std::string::npos;
  };
  EXPECT_TRUE(said(talker)) << family.log();
  touch("go");
  EXPECT_TRUE(becomes(next, "succeeded")) << family.log();
  EXPECT_THAT(family.log(), testing::Not(HasSubstr("test.until stdout: chatter")));
}

TEST_F(Crash, AHelperThatATaskExecutableStartedForItselfIsLeftAlone) {
  const std::string file = files_.file("helper");
  Family family(database_.url(),
                supervisor_keys() + group("q", kTestTasks, 1, "arguments = [\"--helper=" + file + "\"]"));
  family.wait_until_ready(1);
  for (int i = 0; i < 3; ++i) {
    const std::string left = files_.file(std::to_string(i));
    EXPECT_TRUE(becomes(defer("test.leave", R"({"way": "fork", "file": ")" + left + R"("})"), "succeeded"));
    EXPECT_TRUE(becomes(defer("test.gone", R"({"file": ")" + left + R"("})"), "succeeded")) << family.log();
    EXPECT_EQ(::kill(std::stoi(read_file(file)), 0), 0) << family.log();
  }
  const auto known = defer("test.gone", R"({"file": ")" + file + R"("})");
  EXPECT_TRUE(becomes(known, "failed")) << "the helper lives";
  EXPECT_EQ(family.stop().code, 0);
  EXPECT_NE(::kill(std::stoi(read_file(file)), 0), 0) << "and goes with its task process";
}

TEST_F(Crash, WhatForksFasterThanItCanBeListedIsKilledAllTheSame) {
  Family family(database_.url(), supervisor_keys() + group("q", kMisbehave, 1));
  family.wait_until_ready(1);
  const auto is_found = [&] { return family.log().find("had left behind") != std::string::npos; };
  // Not each of them gets away: on a busy machine a fork may be refused, or come to nothing.
  for (int tries = 0; tries < 4 && !is_found(); ++tries) {
    EXPECT_TRUE(becomes(defer("misbehave.runaway"), "succeeded"));
    eventually(is_found, 10s);
  }
  EXPECT_TRUE(is_found()) << family.log();
  EXPECT_TRUE(becomes(defer("misbehave.noop"), "succeeded"));
  EXPECT_EQ(family.stop().code, 0);
  EXPECT_TRUE(family.processes().empty());
}

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
    for (const auto& [pid, title] : left) ::kill(pid, SIGKILL);
    return left.empty();
  }));
  touch("go");
  EXPECT_TRUE(becomes(id, "succeeded")) << two.log();
  EXPECT_EQ(causes(id), "worker_lost succeeded");
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_workers"), "1");
}

}  // namespace
}  // namespace postpone::tests
