// A family that works with the rights of the worker's role, or lacks them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <string>

#include "tests/integration/roles_story.h"
#include "tests/support/database.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/signals.h"

namespace postpone::tests {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST_F(Roles, ASupervisorDoesAllItsWorkAsTheWorker) {
  Family family(as("worker"),
                "[supervisor]\nheartbeat_interval = \"200ms\"\nfence_after = \"20s\"\nstalled_after "
                "= \"30s\"\npolling_interval = \"500ms\"\n" +
                    group("m", kMisbehave, 2) + group("t", kTestTasks, 1, "delete_jobs = \"always\""));
  family.wait_until_ready(3);
  const auto defer = [&](const std::string& task, const std::string& queue, const std::string& args) {
    return sql("SELECT postpone_defer('" + task + "', queue => '" + queue + "', args => '" + args +
               "', lock => 'one')");
  };
  defer("misbehave.noop", "m", "{}");
  defer("misbehave.segfault", "m", "{}");
  defer("test.append", "t", R"({"file": "/dev/null", "text": "x"})");
  defer("test.defers", "t", "{}");
  sql("SELECT postpone_defer('misbehave.noop', queue => 'm', scheduled_at => now() + '300ms')");
  // One sub-worker is killed with its job, which the housekeeper rescues; another job is aborted.
  const auto hangs = sql("SELECT postpone_defer('misbehave.wait', queue => 'm')");
  ASSERT_TRUE(eventually([&] {
    return sql("SELECT status FROM procrastinate_jobs WHERE id = " + hangs) == "doing";
  })) << family.log();
  ASSERT_TRUE(eventually([&] {
    for (const auto& [pid, title] : family.processes())
      if (title.ends_with("(job " + hangs + ")")) return send_signal(pid, SIGKILL);
    return false;
  }));
  ASSERT_TRUE(eventually([&] {
    const auto processes = family.processes();
    return std::ranges::any_of(
               processes,
               [&](const auto& process) { return process.second.ends_with("(job " + hangs + ")"); }) &&
           sql("SELECT attempts FROM procrastinate_jobs WHERE id = " + hangs) == "1";
  })) << family.log();
  sql("SELECT procrastinate_cancel_job_v1(" + hangs + ", true, false)");
  EXPECT_TRUE(eventually(
      [&] { return sql("SELECT status FROM procrastinate_jobs WHERE id = " + hangs) == "aborted"; }));
  EXPECT_TRUE(eventually([&] {
    return sql("SELECT count(*) FROM procrastinate_periodic_defers WHERE task_name = 'test.tick'") == "1";
  })) << "periodic tasks are deferred";
  EXPECT_EQ(family.stop().code, 0);
  EXPECT_THAT(family.log(), Not(HasSubstr("permission denied")));
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_workers"), "0");
}

// What the role lacks is said once, with the line that mends it, and not by each process for ever.
TEST_F(Roles, ASupervisorOfAnotherRoleDoesNotStartAndSaysWhatToType) {
  database_.execute("CREATE ROLE " + login("none") + " LOGIN");
  for (const std::string role : {"none", "client", "monitor"}) {
    Family family(as(role), group("m", kMisbehave, 1));
    EXPECT_EQ(family.wait().code, 5) << family.log();
    EXPECT_THAT(family.log(),
                HasSubstr("type in psql, as the owner of the tables: GRANT postpone_worker TO \"" +
                          login(role) + "\""));
  }
  const TemporaryDirectory files;
  std::ofstream(files.file("kitchen.toml")) << group("m", kMisbehave, 1);
  const auto health = cli({"healthcheck", "--config", files.file("kitchen.toml")}, as("none"));
  EXPECT_EQ(health.exit_status, 5) << health.output;
  EXPECT_THAT(health.errors, HasSubstr("GRANT postpone_worker TO \"" + login("none")));
  EXPECT_THAT(cli({"jobs", "list"}, as("none")).errors,
              HasSubstr("GRANT this role what it is for: postpone_monitor looks"));

  // Whoever was given the same by hand is as good; and one who may not even look into the schema is told
  // that.
  const auto grant = [&](const std::string& what) {
    database_.execute("GRANT " + what + " TO " + login("none"));
  };
  for (const std::string table : {"procrastinate_jobs", "procrastinate_events", "procrastinate_workers",
                                  "procrastinate_periodic_defers", "postpone_attempts", "postpone_workers"})
    grant("SELECT, INSERT, UPDATE, DELETE ON " + table);
  grant("SELECT ON postpone_migrations");
  grant("USAGE ON ALL SEQUENCES IN SCHEMA public");
  {
    Family family(as("none"), group("m", kMisbehave, 1));
    EXPECT_EQ(family.wait().code, 5) << "it could fetch nothing\n" << family.log();
    EXPECT_THAT(family.log(), HasSubstr("it lacks DELETE on postpone_claims, "));
  }
  for (const std::string table :
       {"postpone_claims", "postpone_noted_locks", "postpone_schedules", "postpone_results"})
    grant("SELECT, INSERT, UPDATE, DELETE ON " + table);
  {
    Family family(as("none"), group("m", kMisbehave, 1));
    family.wait_until_ready(1);
    sql("SELECT postpone_defer('misbehave.noop', queue => 'm')");
    EXPECT_TRUE(all_end()) << family.log();
    EXPECT_EQ(family.stop().code, 0);
  }
  database_.execute("REVOKE USAGE ON SCHEMA public FROM public");
  Family family(as("none"), group("m", kMisbehave, 1));
  EXPECT_EQ(family.wait().code, 5) << family.log();
  EXPECT_THAT(family.log(), HasSubstr("it lacks USAGE on schema public; type in psql"));
  database_.execute("DROP OWNED BY " + login("none") + "; DROP ROLE " + login("none"));
}

TEST_F(Roles, APrivilegeThatIsTakenAwayWhileAFamilyWorksFillsNoLog) {
  Family family(as("worker"), group("m", kMisbehave, 4));
  family.wait_until_ready(4);
  sql("REVOKE postpone_worker FROM " + login("worker"));
  sql("SELECT postpone_defer('misbehave.noop', queue => 'm') FROM generate_series(1, 4)");
  ASSERT_TRUE(eventually([&] { return family.log().find("permission denied") != std::string::npos; }));
  ASSERT_TRUE(eventually([&] { return family.log().find("degraded: ") != std::string::npos; }))
      << family.log();
  const std::string log = family.log();
  EXPECT_LT(std::count(log.begin(), log.end(), '\n'), 60) << log;
  sql("GRANT postpone_worker TO " + login("worker"));
  EXPECT_TRUE(all_end()) << family.log();
}

}  // namespace
}  // namespace postpone::tests
