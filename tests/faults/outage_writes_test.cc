// A server whose disks are full, or that only reads: outcomes are kept until it takes them.
#include <memory>

#include "tests/faults/faults.h"
#include "tests/faults/outage_story.h"
#include "tests/support/private_server.h"
#include "tests/support/program.h"
#include "tests/support/small_disk.h"

namespace postpone::tests {
namespace {

using testing::HasSubstr;

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

}  // namespace
}  // namespace postpone::tests
