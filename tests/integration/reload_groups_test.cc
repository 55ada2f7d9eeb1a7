// Groups that grow, shrink, come and go at SIGHUP, while jobs run on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <string>

#include "tests/integration/reload_story.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/signals.h"

namespace postpone::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsSupersetOf;

TEST_F(Reload, AGroupGrows) {
  Family family(database_.url(), kNoPolling + group("t", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto first = long_job("t", "first");
  const auto before = family.processes("postpone: sub-worker t/");
  const auto second = defer("test.gibberish", "t");
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
  send_signal(last_to_idle, SIGSTOP);
  send_signal(last_to_idle, SIGTERM);
  const auto third = defer("test.until", "t", R"({"file": ")" + files_.file("third") + R"("})");
  let_notifications_pass();
  send_signal(last_to_idle, SIGCONT);
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

}  // namespace
}  // namespace postpone::tests
