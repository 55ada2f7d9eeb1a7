// Another server takes over: no job is lost but what it has never heard of.
#include <memory>

#include "tests/faults/faults.h"
#include "tests/faults/outage_story.h"
#include "tests/support/private_server.h"

namespace postpone::tests {
namespace {

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

}  // namespace
}  // namespace postpone::tests
