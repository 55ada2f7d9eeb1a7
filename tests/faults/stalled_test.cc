// What [stalled] makes of jobs whose worker died or fell silent, and what people make of those that it leaves
// to them.
#include <csignal>
#include <string>

#include "tests/faults/faults.h"
#include "tests/support/cli.h"
#include "tests/support/program.h"
#include "tests/support/signals.h"

namespace postpone::tests {
namespace {

using testing::HasSubstr;

class Stalled : public Faults {
 protected:
  // A family of two that treats stalled jobs so.
  std::string config(const std::string& stalled) const {
    return supervisor_keys(kShortSilence + "\n[stalled]\n" + stalled) + group("q", kTestTasks, 2);
  }
  ProgramRun cli(std::vector<std::string> arguments) const {
    return postpone_on(database_.url(), std::move(arguments));
  }
  // A job with the lock that runs until the file "go" is there, whose sub-worker is then killed.
  std::string job_of_the_dead(const Family& family) const {
    auto id = defer("test.until", file_argument("go"), ", lock => 'plate'");
    send_signal(runner_once_it_runs(family, "test.until"), SIGKILL);
    return id;
  }
  // A job that a Python worker runs, which sends no heartbeat.
  std::string job_of_python() const {
    return sql(
        "WITH worker AS (INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id) "
        "INSERT INTO procrastinate_jobs (queue_name, task_name, status, worker_id) "
        "SELECT 'q', 'test.tick', 'doing', id FROM worker RETURNING id");
  }
  static int told_of(const Family& family, const std::string& id) {
    int lines = 0;
    const std::string log = family.log();
    for (std::size_t at = 0; (at = log.find("job " + id + " (task ", at)) != std::string::npos; ++at) ++lines;
    return lines;
  }
  // Its housekeeper has looked at stalled jobs again: another one, of another lock, was told of since.
  bool looks_again(const Family& family) const {
    const auto other =
        sql("INSERT INTO procrastinate_jobs (queue_name, task_name, status) VALUES ('q', 'other', 'doing') "
            "RETURNING id");
    return eventually([&] { return told_of(family, other) > 0; });
  }
};

TEST_F(Stalled, FailEndsTheJobOfADeadSubWorkerAndFreesItsLock) {
  Family family(database_.url(), config("action = \"fail\""));
  family.wait_until_ready(2);
  const auto id = job_of_the_dead(family);
  EXPECT_TRUE(becomes(id, "failed")) << family.log();
  EXPECT_EQ(causes(id), "worker_lost");
  EXPECT_TRUE(becomes(defer("test.tick", "{}", ", lock => 'plate'"), "succeeded")) << family.log();
}

TEST_F(Stalled, ReportLeavesTheJobToPeopleWhoFreeItsLock) {
  Family family(database_.url(), config("action = \"report\"\nforeign_action = \"retry\""));
  family.wait_until_ready(2);
  const auto id = job_of_the_dead(family);
  const auto next = defer("test.tick", "{}", ", lock => 'plate'");
  EXPECT_TRUE(eventually([&] { return told_of(family, id) == 1; })) << family.log();
  EXPECT_THAT(family.log(), HasSubstr("postpone jobs finish " + id));
  // For a foreign job this would be long enough: the retry of one that came later has been decided.
  const auto foreign = job_of_python();
  EXPECT_TRUE(becomes(foreign, "succeeded")) << family.log();
  EXPECT_EQ(status(id), "doing");
  EXPECT_EQ(status(next), "todo");
  EXPECT_THAT(cli({"stalled", "list"}).output, HasSubstr("reported"));
  const auto finished = cli({"jobs", "finish", id, "--status", "failed"});
  EXPECT_EQ(finished.exit_status, 0) << finished.errors;
  EXPECT_TRUE(becomes(next, "succeeded")) << "woken for, as nobody polls\n" << family.log();
  EXPECT_EQ(causes(id), "finished_by_hand");
  EXPECT_EQ(told_of(family, id), 1);
}

TEST_F(Stalled, AReportedJobRunsAgainWhenAPersonRescuesIt) {
  Family family(database_.url(), config("action = \"report\""));
  family.wait_until_ready(2);
  const auto id = job_of_the_dead(family);
  ASSERT_TRUE(eventually([&] { return told_of(family, id) == 1; })) << family.log();
  touch("go");
  EXPECT_EQ(cli({"stalled", "rescue", id}).output, "job " + id + " retried\n");
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(causes(id), "worker_lost succeeded");
}

TEST_F(Stalled, AJobThatIsFinishedByForceIsStoppedWhereItRuns) {
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 2, "abort_grace = \"1s\""));
  family.wait_until_ready(2);
  const auto id = defer("test.until", file_argument("never"), ", lock => 'plate'");
  ASSERT_TRUE(eventually([&] { return runner_of(family, "test.until") != 0; }));
  EXPECT_EQ(cli({"jobs", "finish", id, "--status", "succeeded"}).exit_status, kNotDone)
      << "its worker is well";
  EXPECT_EQ(cli({"jobs", "finish", id, "--status", "succeeded", "--force"}).exit_status, kDone);
  EXPECT_TRUE(eventually([&] { return runner_of(family, "test.until") == 0; })) << family.log();
  EXPECT_TRUE(eventually([&] { return family.log().find("no outcome is recorded") != std::string::npos; }))
      << family.log();
  EXPECT_EQ(status(id), "succeeded");
  EXPECT_EQ(causes(id), "finished_by_hand");
}

TEST_F(Stalled, TheJobOfASilentForeignWorkerIsReportedOnceAndNotTouched) {
  const auto id = job_of_python();
  Family family(database_.url(), config(""));
  family.wait_until_ready(2);
  EXPECT_TRUE(eventually([&] { return told_of(family, id) > 0; })) << family.log();
  EXPECT_THAT(family.log(), HasSubstr("not one of Postpone's"));
  ASSERT_TRUE(looks_again(family)) << family.log();
  ASSERT_TRUE(looks_again(family)) << family.log();
  EXPECT_EQ(told_of(family, id), 1) << family.log();
  EXPECT_EQ(sql("SELECT status || ' ' || attempts || ' ' || (worker_id IS NOT NULL) FROM procrastinate_jobs "
                "WHERE id = " +
                id),
            "doing 0 true");
}

TEST_F(Stalled, TheJobOfASilentForeignWorkerIsRunHereWhenToldSo) {
  const auto id = job_of_python();
  Family family(database_.url(), config("foreign_action = \"retry\""));
  family.wait_until_ready(2);
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(causes(id), "worker_lost succeeded");
}

TEST_F(Stalled, TheJobOfAForeignWorkerThatWasPrunedFailsWhenToldSo) {
  const auto id = job_of_python();
  sql("DELETE FROM procrastinate_workers");
  Family family(database_.url(), config("foreign_action = \"fail\""));
  family.wait_until_ready(2);
  EXPECT_TRUE(becomes(id, "failed")) << family.log();
  EXPECT_EQ(causes(id), "worker_lost");
}

// Its heartbeats go on, while another one's job is taken.
TEST_F(Stalled, TheJobOfALivingForeignWorkerIsLeftAlone) {
  const auto living = job_of_python();
  Family family(database_.url(), config("foreign_action = \"retry\""));
  family.wait_until_ready(2);
  const auto silent = job_of_python();
  EXPECT_TRUE(eventually([&] {
    sql("UPDATE procrastinate_workers SET last_heartbeat = now() WHERE id = (SELECT worker_id FROM "
        "procrastinate_jobs WHERE id = " +
        living + ")");
    return status(silent) == "succeeded";
  })) << family.log();
  EXPECT_EQ(status(living), "doing");
}

}  // namespace
}  // namespace postpone::tests
