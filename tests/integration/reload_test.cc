// SIGHUP: the family takes a new configuration while its jobs run on. Polling intervals are so long that
// whatever happens was not found by polling.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/database.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/job_story.h"

namespace postpone::tests {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;
using testing::SizeIs;

const std::string kNoPolling = "[supervisor]\npolling_interval = \"1h\"\n";
const std::string kNoHurry = "[supervisor]\npolling_interval = \"1h\"\nstart_deadline = \"10m\"\n";
const std::string kMisbehave = POSTPONE_EXAMPLES_DIR "/misbehave";
const std::string kTestTasks = POSTPONE_TEST_TASKS;

class Reload : public DatabaseStory {
 protected:
  // A job of `queue` that runs until released.
  std::string long_job(const std::string& queue, const std::string& name) const {
    const auto id = defer("test.until", queue, R"({"file": ")" + files_.file(name) + R"("})");
    EXPECT_TRUE(becomes(id, "doing"));
    return id;
  }
  void release(const std::string& name) const { std::ofstream(files_.file(name)) << "go"; }

  // Has the file read again; waits until the log says what became of it, and returns that line.
  static std::string reload(Family& family, const std::string& config) {
    family.rewrite(config);
    const std::size_t before = family.log().size();
    family.signal(SIGHUP);
    std::string line;
    eventually([&] {
      const std::string said = family.log().substr(before);
      auto at = said.find("config.toml is in force: ");
      if (at == std::string::npos) at = said.find("config.toml is not taken");
      if (at == std::string::npos || said.find('\n', at) == std::string::npos) return false;
      line = said.substr(at, said.find('\n', at) - at);
      return true;
    });
    return line;
  }
  static bool has(Family& family, const std::string& title, std::size_t count) {
    return eventually([&] { return family.processes("postpone: sub-worker " + title).size() == count; });
  }
  static bool idles(Family& family, const std::string& title, std::size_t count) {
    return eventually([&] {
      std::size_t idle = 0;
      for (const auto& [pid, its] : family.processes())
        idle += its.starts_with("postpone: sub-worker " + title) && its.ends_with(": idle") ? 1 : 0;
      return idle == count;
    });
  }

  // A task executable like test_tasks, of which each start takes a ticket, and waits until there is one.
  std::string gated() const {
    const std::string path = files_.file("gated");
    std::ofstream(path) << "#!/bin/sh\n"
                           "while [ \"$1\" != --describe ]; do\n"
                           "  for ticket in "
                        << files_.file("ticket.")
                        << "*; do rm \"$ticket\" 2>/dev/null && break 2; done\n"
                           "  sleep 0.01\n"
                           "done\n"
                           "exec "
                        << kTestTasks << " \"$@\"\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }
  void ticket(int number) const { std::ofstream(files_.file("ticket." + std::to_string(number))) << "go"; }
  // One that does not answer when asked what it has, and has a child that is not in its process group.
  std::string silent() const {
    const std::string path = files_.file("silent");
    std::ofstream(path) << "#!/bin/sh\nsetsid sleep 1000 &\nexec sleep 1000\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }
  static std::size_t sleepers(const Family& family) {
    std::size_t count = 0;
    for (const auto& [pid, title] : family.processes()) count += title == "sleep 1000" ? 1 : 0;
    return count;
  }
  static pid_t runner_of(const Family& family, const std::string& id) {
    for (const auto& [pid, title] : family.processes())
      if (title.find("(job " + id + ")") != std::string::npos) return pid;
    return 0;
  }
  // The bells of whatever was deferred before have been rung when this has returned. REQUIRES: group m.
  void let_notifications_pass() const { EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded")); }
};

TEST_F(Reload, AGroupGrows) {
  Family family(database_.url(), kNoPolling + group("t", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto first = long_job("t", "first");
  const auto before = family.processes("postpone: sub-worker t/");
  const auto second = defer("misbehave.wait", "t");  // no such task here: just waits its turn
  EXPECT_THAT(reload(family, kNoPolling + group("t", kTestTasks, 3)),
              HasSubstr("in force: group t has 3 sub-workers instead of 1"));
  EXPECT_TRUE(has(family, "t/", 3));
  EXPECT_THAT(family.processes("postpone: sub-worker t/"), IsSupersetOf(before)) << "who was there stays";
  EXPECT_TRUE(becomes(second, "failed")) << "the new ones look for work";
  EXPECT_EQ(status(first), "doing");
  release("first");
  EXPECT_TRUE(becomes(first, "succeeded"));
  EXPECT_EQ(family.stop().code, 0);
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_workers"), "0");
}

TEST_F(Reload, AGroupShrinksAndTheJobThatRunsEndsWhereItIs) {
  const std::string grace = "[supervisor]\npolling_interval = \"1h\"\nshutdown_grace = \"0s\"\n";
  Family family(database_.url(), grace + group("t", kTestTasks, 3));
  family.wait_until_ready(3);
  const auto a = long_job("t", "a");
  const auto b = long_job("t", "b");
  EXPECT_THAT(reload(family, grace + group("t", kTestTasks, 1)),
              HasSubstr("group t has 1 sub-worker instead of 3"));
  EXPECT_TRUE(has(family, "t/", 2)) << "the idle one goes, the busy ones have jobs";
  release("a");
  release("b");
  EXPECT_TRUE(becomes(a, "succeeded") && becomes(b, "succeeded")) << family.log();
  EXPECT_TRUE(has(family, "t/", 1));
  EXPECT_EQ(sql("SELECT count(*) FROM postpone_attempts"), "2") << "each ran once";
  const auto c = defer("test.append", "t", R"({"file": ")" + files_.file("c") + R"(", "text": "c"})");
  EXPECT_TRUE(becomes(c, "succeeded"));
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_workers"), "1");
  EXPECT_EQ(family.stop().code, 0);
}

// Its place is not filled before the ticket is there, so nobody looks by accident.
TEST_F(Reload, ARingForOneWhoLeavesIsPassedOn) {
  const std::string tasks = gated();
  ticket(1);
  ticket(2);
  Family family(database_.url(), kNoHurry + group("m", kMisbehave, 1) + group("t", tasks, 2));
  family.wait_until_ready(3);
  const auto first = long_job("t", "first");
  const auto second = long_job("t", "second");
  ASSERT_TRUE(eventually([&] { return runner_of(family, second) != 0; }));
  const pid_t last_to_idle = runner_of(family, second);
  release("first");
  ASSERT_TRUE(becomes(first, "succeeded") && idles(family, "t/", 1));
  release("second");
  ASSERT_TRUE(becomes(second, "succeeded") && idles(family, "t/", 2));
  ::kill(last_to_idle, SIGSTOP);
  ::kill(last_to_idle, SIGTERM);
  const auto third = defer("test.until", "t", R"({"file": ")" + files_.file("third") + R"("})");
  let_notifications_pass();
  ::kill(last_to_idle, SIGCONT);
  EXPECT_TRUE(becomes(third, "doing")) << family.log();
  release("third");
  ticket(3);
  EXPECT_TRUE(becomes(third, "succeeded"));
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, WhoIsToldToLeaveWhileItStartsFetchesNothing) {
  const std::string tasks = gated();
  Family family(database_.url(), kNoHurry + group("m", kMisbehave, 1) + group("t", tasks, 1));
  family.wait_until_ready(1);
  ASSERT_TRUE(has(family, "t/", 1));
  const auto id = defer("test.tick", "t");
  reload(family, kNoHurry + group("m", kMisbehave, 1));
  ticket(1);
  EXPECT_TRUE(has(family, "t/", 0));
  EXPECT_EQ(status(id), "todo");
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, ASmallerPoolIsKeptToAtOnce) {
  const auto with = [](int pool_size) {
    return "[database]\npool_size = " + std::to_string(pool_size) + "\n" + kNoPolling +
           group("t", kTestTasks, 3);
  };
  const auto connections = [&](const std::string& count) {
    return eventually([&] {
      return sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                 "application_name LIKE 'postpone sub-worker%'") == count;
    });
  };
  Family family(database_.url(), with(3));
  family.wait_until_ready(3);
  const auto first = long_job("t", "first");
  const auto second = long_job("t", "second");
  ASSERT_TRUE(connections("3"));
  EXPECT_THAT(reload(family, with(1)), HasSubstr("in force"));
  EXPECT_TRUE(connections("1")) << "who runs a job, and who idles: " << family.log();
  release("first");
  release("second");
  EXPECT_TRUE(becomes(first, "succeeded") && becomes(second, "succeeded"));
  ASSERT_TRUE(idles(family, "t/", 3));
  EXPECT_TRUE(connections("1"));
  reload(family, with(3));
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, WhereNothingHasChangedConnectionsAreKept) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  const auto backends = [&] {
    return sql(
        "SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_activity WHERE datname = "
        "current_database() AND application_name LIKE 'postpone %' AND application_name <> 'postpone "
        "preflight'");
  };
  ASSERT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded"));
  const auto before = backends();
  EXPECT_THAT(reload(family, kNoPolling + group("m", kMisbehave, 1)), HasSubstr("nothing has changed"));
  ASSERT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded"));
  EXPECT_EQ(backends(), before);
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, ANewGroupIsServedAtOnceAndAVanishedOneNoMore) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1) + group("old", kMisbehave, 1));
  family.wait_until_ready(2);
  const auto early = defer("misbehave.noop", "new");
  EXPECT_THAT(reload(family, kNoPolling + group("new", kMisbehave, 1) + group("m", kMisbehave, 1)),
              AllOf(HasSubstr("new group new with 1 sub-worker"), HasSubstr("group old is gone")));
  EXPECT_TRUE(becomes(early, "succeeded")) << "what had been waiting for that group";
  EXPECT_TRUE(has(family, "old/", 0));
  ASSERT_TRUE(idles(family, "", 2));
  const auto late = defer("misbehave.noop", "new");
  EXPECT_TRUE(becomes(late, "succeeded")) << "heard of by NOTIFY: " << family.log();
  const auto other = defer("misbehave.noop", "m");
  EXPECT_TRUE(becomes(other, "succeeded")) << "its group stands in another place now";
  const auto forsaken = defer("misbehave.noop", "old");
  EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded") &&
              becomes(defer("misbehave.noop", "new"), "succeeded"));
  EXPECT_EQ(status(forsaken), "todo");
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, GroupsThatOnlyChangePlacesReplaceNoMemberAndAreWokenAsBefore) {
  const std::string m = group("m", kMisbehave, 1), t = group("t", kTestTasks, 1);
  Family family(database_.url(), kNoPolling + m + t);
  family.wait_until_ready(2);
  const auto before = family.processes("postpone: ");
  EXPECT_THAT(reload(family, kNoPolling + t + m), HasSubstr("in force"));
  ASSERT_TRUE(idles(family, "", 2));
  EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded")) << family.log();
  EXPECT_TRUE(becomes(defer("test.tick", "t"), "succeeded")) << family.log();
  const auto due = sql("SELECT postpone_defer('test.tick', queue => 't', scheduled_at => now() + '1s')");
  EXPECT_TRUE(becomes(due, "succeeded")) << "woken by the housekeeper: " << family.log();
  EXPECT_EQ(family.processes("postpone: "), before);
  EXPECT_EQ(family.stop().code, 0);
}

// The housekeeper rings for jobs that become due, so it has to know the new groups.
TEST_F(Reload, TheHousekeeperLearnsOfNewGroups) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  reload(family, kNoPolling + group("t", kTestTasks, 1) + group("m", kMisbehave, 1));
  ASSERT_TRUE(idles(family, "t/", 1));
  const auto id = sql("SELECT postpone_defer('test.flaky', queue => 't', scheduled_at => now() + '1s')");
  EXPECT_TRUE(eventually([&] {
    return status(id) != "todo" || sql("SELECT attempts FROM procrastinate_jobs "
                                       "WHERE id = " +
                                       id) != "0";
  }));
  EXPECT_TRUE(eventually([&] {
    return sql("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'test.tick'") != "0";
  })) << "and defers their periodic tasks";
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, ABadFileChangesNothingAndEveryMistakeIsSaid) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 2));
  family.wait_until_ready(2);
  const auto before = family.processes();
  EXPECT_THAT(reload(family, kNoPolling + group("m", kMisbehave, 9, "coutn = 3") + "time_limit = 30\n"),
              HasSubstr("not taken, everything stays as it was"));
  EXPECT_THAT(family.log(), AllOf(HasSubstr("config.toml:8:1: unknown key \"coutn\""),
                                  HasSubstr("config.toml:9:14: \"time_limit\"")));
  std::filesystem::remove(family.config_path());
  const std::size_t said = family.log().size();
  family.signal(SIGHUP);
  EXPECT_TRUE(eventually(
      [&] { return family.log().substr(said).find("No such file or directory") != std::string::npos; }));
  std::vector<pid_t> pids, now;
  for (const auto& [pid, title] : before) pids.push_back(pid);
  for (const auto& [pid, title] : family.processes()) now.push_back(pid);
  EXPECT_EQ(now, pids) << "nobody was replaced";
  EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded"));
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, ATaskExecutableThatIsNotFitChangesNothing) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  EXPECT_THAT(reload(family, kNoPolling + group("m", kMisbehave, 2) + group("x", "/bin/true", 1)),
              HasSubstr("not taken, everything stays as it was: a task executable is not fit: [[group]] "
                        "\"x\": task executable /bin/true --describe: "));
  EXPECT_THAT(family.processes("postpone: sub-worker"), SizeIs(1));
  EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded"));
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, TheFirstOfSeveralReasonsIsSaidWithTheirNumber) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  EXPECT_THAT(reload(family, kNoPolling + group("x", "/bin/true", 1) + group("y", "/bin/false", 1)),
              AllOf(HasSubstr("[[group]] \"x\""), HasSubstr("(and 1 more, see the log)")));
  EXPECT_THAT(family.log(), HasSubstr("[[group]] \"y\": task executable /bin/false"));
  EXPECT_EQ(family.stop().code, 0);
}

// The log is part of what is not taken.
TEST_F(Reload, WhatIsWrongIsSaidInTheLogThatIsInForce) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  reload(family,
         "[log]\nfile = \"" + files_.file("new.log") + "\"\n" + kNoPolling + group("x", "/bin/true", 1));
  EXPECT_FALSE(std::filesystem::exists(files_.file("new.log"))) << read_file(files_.file("new.log"));
  EXPECT_THAT(reload(family, "[log]\nfile = \"" + files_.file("no/such/directory/log") + "\"\n" + kNoPolling +
                                 group("m", kMisbehave, 2)),
              AllOf(HasSubstr("not taken"), HasSubstr("there is no directory")));
  EXPECT_THAT(family.processes("postpone: sub-worker"), SizeIs(1));
  EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded"));
  EXPECT_EQ(family.stop().code, 0);
}

// An upgrade begins with the schema, and may take days to reach every host.
TEST_F(Reload, ANewerSchemaIsGoodEnoughForWhoRunsAlready) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  sql("INSERT INTO postpone_migrations (version, name) VALUES (9999, '9999_of_tomorrow')");
  EXPECT_THAT(reload(family, kNoPolling + group("m", kMisbehave, 2)), HasSubstr("in force: group m has 2"));
  EXPECT_TRUE(has(family, "m/", 2));
  EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded"));
  Family another(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  EXPECT_EQ(another.wait().code, 5) << "to start with it would be a downgrade";
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, ASchemaThatIsNotFitIsToldOf) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  sql("DELETE FROM postpone_migrations WHERE version = (SELECT max(version) FROM postpone_migrations)");
  EXPECT_THAT(reload(family, kNoPolling + group("m", kMisbehave, 2)),
              HasSubstr("the database's schema is not fit: schema \"public\" is at version "));
  EXPECT_THAT(family.processes("postpone: sub-worker"), SizeIs(1));
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, ACheckThatHangsIsGivenUpForTheNextFileAndWhenDraining) {
  const std::string bad =
      kNoPolling + group("a", silent(), 1) + group("b", silent(), 1) + group("c", silent(), 1);
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  family.rewrite(bad);
  family.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return sleepers(family) == 2; }));
  EXPECT_THAT(reload(family, kNoPolling + group("m", kMisbehave, 2)), HasSubstr("in force: group m has 2"));
  EXPECT_TRUE(eventually([&] { return sleepers(family) == 0; })) << "what the check had asked, and its child";
  family.rewrite(bad);
  family.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return sleepers(family) == 2; }));
  EXPECT_EQ(family.stop().code, 0);
  EXPECT_TRUE(eventually([&] { return family.processes().empty(); }));
}

TEST_F(Reload, AConfigurationThatIsNoFileKeepsNobodyWaiting) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  std::filesystem::remove(family.config_path());
  ASSERT_EQ(::mkfifo(family.config_path().c_str(), 0600), 0);
  family.signal(SIGHUP);
  EXPECT_TRUE(eventually([&] { return family.log().find("which is no regular file") != std::string::npos; }));
  EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded"));
  EXPECT_EQ(family.stop().code, 0);
}

// Who could not start waits for longer and longer, and need not any more.
TEST_F(Reload, WhatMendsAGroupThatDoesNotGetReadyIsTriedAtOnce) {
  const std::string lame = files_.file("lame");
  std::ofstream(lame) << "#!/bin/sh\n[ \"$1\" = --describe ] || exit 1\nexec " << kMisbehave << " \"$@\"\n";
  std::filesystem::permissions(lame, std::filesystem::perms::owner_all);
  const std::string config = kNoPolling + "respawn_backoff = \"1h\"\nrespawn_backoff_max = \"1h\"\n" +
                             group("m", kMisbehave, 1) + group("lame", lame, 1);
  Family family(database_.url(), config);
  family.wait_until_ready(1);
  ASSERT_TRUE(eventually([&] {
    return family.log().find("sub-worker lame/1 (pid") != std::string::npos &&
           family.log().find("ended: exit status 3") != std::string::npos;
  })) << family.log();
  std::filesystem::remove(lame);
  std::filesystem::create_symlink(kMisbehave, lame);
  EXPECT_THAT(reload(family, config), HasSubstr("another task executable"));
  EXPECT_TRUE(becomes(defer("misbehave.noop", "lame"), "succeeded")) << family.log();
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, ACheckThatDiesChangesNothing) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  family.rewrite(kNoPolling + group("m", silent(), 2));
  family.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return sleepers(family) == 2; }));
  for (const pid_t pid : family.processes("postpone: preflight")) ::kill(pid, SIGKILL);
  ASSERT_TRUE(eventually([&] { return family.log().find("config.toml is not taken") != std::string::npos; }));
  EXPECT_THAT(family.log(), HasSubstr("the check of task executables and schema ended with signal 9"));
  EXPECT_TRUE(eventually([&] { return sleepers(family) == 0; }));
  EXPECT_THAT(family.processes("postpone: sub-worker"), SizeIs(1));
  EXPECT_THAT(reload(family, kNoPolling + group("m", kMisbehave, 2)), HasSubstr("in force"));
  EXPECT_EQ(family.stop().code, 0);
}

// It asks the task executables for their schedules, and that must not keep it.
TEST_F(Reload, AHousekeeperThatWaitsForAnAnswerIsReplacedAtOnce) {
  const auto config = [&](const std::string& tasks) {
    std::string text = kNoPolling;
    for (const std::string name : {"a", "b", "c"})
      text += group(name, tasks, 1, "arguments = [\"" + name + "\"]");
    return text;
  };
  const std::string tasks = files_.file("answers-once");
  std::ofstream(tasks) << "#!/bin/sh\n[ \"$1\" != --describe ] || mkdir " << files_.file("asked.")
                       << "$2 || exec sleep 1000\nexec " << kTestTasks << " \"$1\"\n";
  std::filesystem::permissions(tasks, std::filesystem::perms::owner_all);
  Family family(database_.url(), config(tasks));
  family.wait_until_ready(3);
  ASSERT_TRUE(eventually([&] { return sleepers(family) == 1; }));
  const auto before = family.processes("postpone: housekeeper");
  EXPECT_THAT(reload(family, config(kTestTasks)), HasSubstr("group c has changed"));
  EXPECT_TRUE(eventually([&] {
    const auto now = family.processes("postpone: housekeeper");
    return now.size() == 1 && now != before;
  }));
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, WhoIsPausedTakesTheNewConfigurationAndStaysPaused) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  family.signal(SIGTSTP);
  ASSERT_TRUE(eventually([&] { return family.log().find("paused") != std::string::npos; }));
  const auto before = family.processes("postpone: sub-worker m/");
  const auto id = defer("misbehave.noop", "m");
  EXPECT_THAT(reload(family, kNoPolling + group("m", kMisbehave, 2, "max_jobs = 9")), HasSubstr("in force"));
  ASSERT_TRUE(eventually([&] {
    const auto now = family.processes("postpone: sub-worker m/");
    return now.size() == 2 && std::find(now.begin(), now.end(), before.at(0)) == now.end();
  }));
  ASSERT_TRUE(idles(family, "m/", 2));
  EXPECT_EQ(status(id), "todo") << "both have looked once, to be ready";
  family.signal(SIGCONT);
  EXPECT_TRUE(becomes(id, "succeeded"));
  EXPECT_EQ(family.stop().code, 0);
}

// With --one-shot the family ends when there is nothing left to do, but not before it knows what there is.
TEST_F(Reload, ANewConfigurationIsWaitedForBeforeOneShotEnds) {
  const std::string slow = files_.file("slow");
  std::ofstream(slow) << "#!/bin/sh\nwhile [ \"$1\" = --describe ] && ! [ -e " << files_.file("answer")
                      << " ]; do sleep 0.01; done\nexec " << kTestTasks << " \"$@\"\n";
  std::filesystem::permissions(slow, std::filesystem::perms::owner_all);
  const auto first = defer("test.until", "t", R"({"file": ")" + files_.file("first") + R"("})");
  const auto second = defer("test.tick", "more");
  Family family(database_.url(), kNoPolling + group("t", kTestTasks, 1), {.arguments = {"--one-shot"}});
  ASSERT_TRUE(becomes(first, "doing"));
  family.rewrite(kNoPolling + group("t", kTestTasks, 1) + group("more", slow, 1));
  family.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return !family.processes("postpone: preflight").empty(); }));
  release("first");
  ASSERT_TRUE(becomes(first, "succeeded") && idles(family, "t/", 1));
  release("answer");
  EXPECT_EQ(family.wait().code, 0);
  EXPECT_EQ(status(second), "succeeded") << family.log();
}

TEST_F(Reload, WhoDiesInTheMiddleIsReplacedByOneWithTheNewConfiguration) {
  const auto with = [](const std::string& oven) {
    return kNoPolling + group("t", kTestTasks, 1, "environment = { OVEN = \"" + oven + "\" }") +
           group("m", kMisbehave, 1);
  };
  Family family(database_.url(), with("cold"));
  family.wait_until_ready(2);
  const auto busy = long_job("t", "busy");
  ASSERT_TRUE(eventually([&] { return runner_of(family, busy) != 0; }));
  const auto housekeeper = family.processes("postpone: housekeeper");
  EXPECT_THAT(reload(family, with("hot")), HasSubstr("group t has changed"));
  for (const pid_t pid : housekeeper) ::kill(pid, SIGKILL);
  ::kill(runner_of(family, busy), SIGKILL);
  release("busy");
  EXPECT_TRUE(becomes(busy, "succeeded")) << family.log();
  const auto id = defer("test.surroundings", "t", R"({"file": ")" + files_.file("seen") + R"("})");
  EXPECT_TRUE(becomes(id, "succeeded"));
  EXPECT_THAT(read_file(files_.file("seen")), HasSubstr("OVEN=hot"));
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_workers"), "2");
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, AChangedGroupIsReplacedOneByOneAfterItsJobs) {
  const auto with = [](const std::string& oven) {
    return kNoPolling + group("t", kTestTasks, 2, "environment = { OVEN = \"" + oven + "\" }") +
           group("m", kMisbehave, 1);
  };
  Family family(database_.url(), with("cold"));
  family.wait_until_ready(3);
  const auto busy = long_job("t", "busy");
  const auto untouched = family.processes("postpone: sub-worker m/");
  EXPECT_THAT(reload(family, with("hot")), HasSubstr("group t has changed"));
  // The idle one is a new one soon; the other has its job to finish first.
  EXPECT_TRUE(eventually([&] {
    const auto id = defer("test.surroundings", "t", R"({"file": ")" + files_.file("seen") + R"("})");
    return becomes(id, "succeeded") && read_file(files_.file("seen")).find("OVEN=hot") != std::string::npos;
  })) << family.log();
  EXPECT_EQ(status(busy), "doing");
  release("busy");
  EXPECT_TRUE(becomes(busy, "succeeded"));
  EXPECT_TRUE(has(family, "t/", 2));
  EXPECT_EQ(family.processes("postpone: sub-worker m/"), untouched);
  EXPECT_EQ(sql("SELECT count(*) FROM postpone_attempts WHERE cause <> 'succeeded'"), "0");
  EXPECT_EQ(family.stop().code, 0);
}

// The way to deploy: put another file in the place of the old one, send SIGHUP.
TEST_F(Reload, AnotherTaskExecutableAtTheSamePlaceIsTaken) {
  const std::string tasks = files_.file("tasks");
  std::filesystem::copy_file(kMisbehave, tasks);
  const std::string config = kNoPolling + group("t", tasks, 2);
  Family family(database_.url(), config);
  family.wait_until_ready(2);
  EXPECT_THAT(reload(family, config), HasSubstr("nothing has changed"));
  std::filesystem::copy_file(kTestTasks, tasks + ".new");
  std::filesystem::rename(tasks + ".new", tasks);
  EXPECT_THAT(reload(family, config), HasSubstr("another task executable"));
  EXPECT_TRUE(eventually([&] {
    const auto id = defer("test.append", "t", R"({"file": ")" + files_.file("out") + R"(", "text": "x"})");
    return eventually([&] { return status(id) != "todo" && status(id) != "doing"; }) &&
           status(id) == "succeeded";
  })) << family.log();
  EXPECT_EQ(family.stop().code, 0);
}

// An upgrade of Postpone itself: what runs goes on with the programs that it was started with.
TEST_F(Reload, AnUpgradeOfTheProgramsDoesNotTouchAFamilyThatRuns) {
  for (const std::string program : {POSTPONE_SUPERVISOR, POSTPONE_SUBWORKER})
    std::filesystem::copy_file(program, files_.file(std::filesystem::path(program).filename()));
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1),
                {.program = files_.file("postpone-supervisor")});
  family.wait_until_ready(1);
  std::filesystem::remove(files_.file("postpone-subworker"));
  std::ofstream(files_.file("postpone-subworker")) << "#!/bin/sh\nexit 2\n";
  const auto before = family.processes("postpone: sub-worker m/");
  ASSERT_THAT(before, SizeIs(1));
  EXPECT_EQ(read_file("/proc/" + std::to_string(before[0]) + "/comm"), "postpone-subwor\n");
  ::kill(before[0], SIGKILL);
  EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded")) << family.log();
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, LogLevelsAreTakenWithoutReplacingAnybody) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  const auto before = family.processes("postpone: sub-worker m/");
  const auto is_told_of = [&](const std::string& id) {
    EXPECT_TRUE(becomes(id, "succeeded"));
    // Another job behind it: what is said of the first one has been said.
    EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded"));
    return family.log().find("job " + id + " misbehave.noop: succeeded") != std::string::npos;
  };
  EXPECT_TRUE(is_told_of(defer("misbehave.noop", "m")));
  EXPECT_THAT(reload(family, kNoPolling + "[log.levels]\njob = \"error\"\n" + group("m", kMisbehave, 1)),
              HasSubstr("in force: log levels"));
  EXPECT_TRUE(eventually([&] { return !is_told_of(defer("misbehave.noop", "m")); })) << family.log();
  EXPECT_EQ(family.processes("postpone: sub-worker m/"), before);
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, WhatCannotChangeIsNamedAndStays) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  EXPECT_THAT(reload(family,
                     "[supervisor]\nname = \"other\"\npolling_interval = \"2h\"\nheartbeat_interval = "
                     "\"1s\"\nfence_after = \"2s\"\nstalled_after = \"3s\"\n" +
                         group("m", kMisbehave, 2)),
              AllOf(HasSubstr("in force: group m has 2"), HasSubstr("; supervisor.name, ")));
  EXPECT_THAT(family.log(),
              HasSubstr("supervisor.name, supervisor.heartbeat_interval, supervisor.fence_after, "
                        "supervisor.stalled_after cannot change while the supervisor runs"));
  EXPECT_TRUE(has(family, "m/", 2));
  EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded"));
  EXPECT_EQ(sql("SELECT count(*) FROM postpone_workers WHERE supervisor LIKE 'other%'"), "0");
  EXPECT_THAT(reload(family, "[supervisor]\nname = \"other\"\npolling_interval = \"2h\"\n" +
                                 group("m", kMisbehave, 2)),
              HasSubstr("nothing has changed; supervisor.name cannot change while the supervisor runs"));
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, WhoIsToldToLeaveStaysToldWhenTheOthersArePaused) {
  Family family(database_.url(), kNoPolling + group("t", kTestTasks, 1) + group("m", kMisbehave, 1));
  family.wait_until_ready(2);
  const auto busy = long_job("t", "busy");
  reload(family, kNoPolling + group("m", kMisbehave, 1));
  family.signal(SIGTSTP);
  ASSERT_TRUE(eventually([&] { return family.log().find("paused") != std::string::npos; }));
  family.signal(SIGCONT);
  ASSERT_TRUE(eventually([&] { return family.log().find("resumed") != std::string::npos; }));
  release("busy");
  EXPECT_TRUE(becomes(busy, "succeeded"));
  EXPECT_TRUE(has(family, "t/", 0));
  EXPECT_EQ(family.stop().code, 0);
}

// What drains is given the grace, also who was told to leave before and had all the time in the world.
TEST_F(Reload, DrainingEndsTheWaitForThoseThatWereToldToLeave) {
  const std::string grace = "[supervisor]\nshutdown_grace = \"0s\"\n";
  Family family(database_.url(),
                grace + group("t", kTestTasks, 1, "abort_grace = \"100ms\"") + group("m", kMisbehave, 1));
  family.wait_until_ready(2);
  const auto busy = long_job("t", "busy");
  reload(family, grace + group("m", kMisbehave, 1));
  EXPECT_EQ(family.stop().code, 0);
  EXPECT_EQ(status(busy), "todo") << "interrupted, and waits again";
}

// Jobs that wait for their files: at each reload some run, some wait, and those of the reload before end.
TEST_F(Reload, NoJobIsLostHoweverOftenTheFileIsRead) {
  constexpr int kReloads = 6, kJobsEach = 8;
  const auto config = [](int count, const std::string& more) {
    return kNoPolling + group("t", kTestTasks, count, more);
  };
  Family family(database_.url(), config(3, ""));
  family.wait_until_ready(3);
  sql("SELECT count(postpone_defer('test.until', queue => 't', args => jsonb_build_object('file', '" +
      files_.file("round.") + "' || n / " + std::to_string(kJobsEach) + "))) FROM generate_series(0, " +
      std::to_string(kReloads * kJobsEach - 1) + ") AS n");
  for (int i = 0; i < kReloads; ++i) {
    ASSERT_TRUE(eventually([&] {
      return sql("SELECT count(*) > 0 FROM procrastinate_jobs WHERE queue_name = 't' AND status = 'doing'") ==
             "t";
    }));
    EXPECT_THAT(reload(family, config(i % 2 == 0 ? 1 : 4, "max_jobs = " + std::to_string(100 + i))),
                HasSubstr("in force"));
    release("round." + std::to_string(i));
  }
  EXPECT_TRUE(eventually([&] {
    return sql("SELECT count(*) FROM procrastinate_jobs WHERE queue_name = 't' AND status IN ('todo', "
               "'doing')") == "0";
  })) << family.log();
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_jobs WHERE queue_name = 't' AND status = 'succeeded' AND "
                "attempts = 1"),
            std::to_string(kReloads * kJobsEach));
  EXPECT_TRUE(has(family, "t/", 4));
  EXPECT_EQ(family.stop().code, 0);
}

}  // namespace
}  // namespace postpone::tests
