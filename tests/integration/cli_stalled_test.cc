// `postpone stalled …` and `postpone jobs finish` as people and scripts see them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/cli_story.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;

// Exit codes, as docs/cli.md promises them.
enum { kDone = 0, kNotDone = 1, kUsage = 2, kUnreachable = 4 };

// Worker 1 is ours and called kitchen/1, worker 2 is Python's.
class CliStalled : public CliStory {
 protected:
  CliStalled() {
    sql("SELECT postpone_register_worker('host:1', 'web1', 'kitchen/1', 4711)");
    sql("SELECT procrastinate_register_worker_v1()");
  }

  nlohmann::json json(std::vector<std::string> arguments) const {
    arguments.emplace_back("--json");
    return nlohmann::json::parse(run(std::move(arguments)).output).at("jobs");
  }
  // "1 retried, 2 database_error", of a command with --json.
  static std::string results(const ProgramRun& result) {
    const nlohmann::json answer = nlohmann::json::parse(result.output);
    std::string text;
    for (const auto& job : answer.at("jobs"))
      text += (text.empty() ? "" : ", ") + job["id"].dump() + " " + job["result"].get<std::string>();
    return text;
  }
  // A job that this worker runs.
  std::string running(int worker, const std::string& more = "") const {
    sql("SELECT postpone_defer('wash'" + more + ")");
    return sql("SELECT id FROM postpone_fetch_jobs(NULL, " + std::to_string(worker) + ", 1)");
  }
  void silence(int worker) const {
    sql("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute' WHERE id = " +
        std::to_string(worker));
  }
  void remove(int worker) const {
    sql("DELETE FROM procrastinate_workers WHERE id = " + std::to_string(worker));
  }
  std::string status(const std::string& id) const {
    return sql("SELECT status FROM procrastinate_jobs WHERE id = " + id);
  }
};

TEST_F(CliStalled, AWrongLineIsRefusedBeforeAnythingIsDone) {
  const std::vector<std::vector<std::string>> lines = {
      {"stalled"},
      {"stalled", "list", "--silent-for", "soon"},
      {"stalled", "rescue"},
      {"stalled", "rescue", "1", "--all"},
      {"stalled", "rescue", "1", "--action", "report"},
      {"jobs", "finish", "--status", "failed"},
      {"jobs", "finish", "1"},
      {"jobs", "finish", "1", "--status", "cancelled"},
  };
  for (const auto& line : lines) {
    const ProgramRun result = run(line);
    EXPECT_EQ(result.exit_status, kUsage) << testing::PrintToString(line);
    EXPECT_THAT(result.errors, HasSubstr("--help")) << testing::PrintToString(line);
  }
}

TEST_F(CliStalled, ListShowsWhoIsGoneSilentOrLeftToPeople) {
  EXPECT_EQ(run({"stalled", "list"}).output, "no stalled jobs\n");
  const std::string ours = running(1, ", lock => 'plate'");
  const std::string foreign = running(2);
  EXPECT_THAT(json({"stalled", "list"}), IsEmpty()) << "their workers are well";
  silence(1);
  silence(2);
  const nlohmann::json silent = json({"stalled", "list"});
  ASSERT_EQ(silent.size(), 2U);
  EXPECT_EQ(silent[0]["id"], std::stoi(ours));
  EXPECT_EQ(silent[0]["state"], "silent");
  EXPECT_EQ(silent[0]["lock"], "plate");
  EXPECT_EQ(silent[0]["worker_name"], "kitchen/1");
  EXPECT_EQ(silent[0]["host"], "web1");
  EXPECT_EQ(silent[0]["supervisor"], "host:1");
  EXPECT_EQ(silent[0]["foreign"], false);
  EXPECT_GE(silent[0]["silent_s"], 60.0);
  EXPECT_TRUE(silent[0]["started_at"].is_string());
  EXPECT_EQ(silent[1]["foreign"], true);
  EXPECT_EQ(silent[1]["worker_name"], nullptr);
  EXPECT_THAT(json({"stalled", "list", "--silent-for", "5m"}), IsEmpty());

  sql("SELECT postpone_rescue_worker(1, '[]', 'report', 3, 'it died')");
  remove(2);
  const std::string output = run({"stalled", "list"}).output;
  EXPECT_THAT(output, ContainsRegex("\n +" + ours + " .*wash.*plate.*kitchen/1.* reported\n"));
  EXPECT_THAT(output, ContainsRegex("\n +" + foreign + " .*wash.* gone\n"));
}

TEST_F(CliStalled, RescueLetsAJobWaitAgainOrFailsIt) {
  const std::string first = running(2);
  const std::string second = running(2);
  remove(2);
  const ProgramRun retried = run({"stalled", "rescue", first});
  EXPECT_EQ(retried.exit_status, kDone) << retried.errors;
  EXPECT_EQ(retried.output, "job " + first + " retried\n");
  EXPECT_EQ(status(first), "todo");
  EXPECT_EQ(run({"stalled", "rescue", second, "--action", "fail"}).output, "job " + second + " failed\n");
  EXPECT_EQ(status(second), "failed");
}

TEST_F(CliStalled, RescueTakesAllJobsOfAWorkerAndSaysEachOnce) {
  const std::string first = running(1);
  const std::string second = running(1);
  silence(1);
  const ProgramRun result = run({"stalled", "rescue", first, second});
  EXPECT_EQ(result.exit_status, kDone) << result.errors;
  EXPECT_EQ(result.output, "job " + first + " retried\njob " + second + " retried\n");
}

TEST_F(CliStalled, RescueOfAllLeavesTheLivingAlone) {
  const std::string living = running(1);
  const std::string gone = running(2);
  remove(2);
  EXPECT_EQ(run({"stalled", "rescue", "--all"}).output, "job " + gone + " retried\n");
  EXPECT_EQ(status(living), "doing");
  EXPECT_EQ(run({"stalled", "rescue", "--all"}).output, "no such jobs\n");
}

TEST_F(CliStalled, RescueTellsWhyItCannot) {
  const std::string living = running(1);
  const std::string waiting = sql("SELECT postpone_defer('wash', queue => 'elsewhere')");
  const ProgramRun result = run({"stalled", "rescue", living, waiting, "4711"});
  EXPECT_EQ(result.exit_status, kNotDone);
  EXPECT_THAT(result.errors, AllOf(ContainsRegex("postpone: job " + living +
                                                 " is not stalled: its worker kitchen/1 "
                                                 "on host web1 .1. was heard of [0-9.]+ m?s ago; "),
                                   HasSubstr("postpone: job " + waiting + " does not run, it waits"),
                                   HasSubstr("postpone: there is no job 4711\n")));
}

TEST_F(CliStalled, ARescuedJobThatMayNotWaitAgainIsToldOf) {
  const std::string job = running(2, ", queueing_lock => 'once'");
  const std::string other = sql("SELECT postpone_defer('wash', queueing_lock => 'once')");
  remove(2);
  const ProgramRun result = run({"stalled", "rescue", job});
  EXPECT_EQ(result.exit_status, kNotDone);
  EXPECT_EQ(result.errors, "postpone: job " + job + " has failed: job " + other +
                               " with the same queueing lock waits already\n");
}

// The session of the test holds the row of job 2 while the command works on three jobs.
TEST_F(CliStalled, AJobThatAnotherSessionHasLockedCostsThatOneOnly) {
  for (int i = 0; i < 3; ++i) running(2);
  remove(2);
  sql("BEGIN; SELECT id FROM procrastinate_jobs WHERE id = 2 FOR UPDATE");
  const ProgramRun result = run({"stalled", "rescue", "1", "2", "3"});
  EXPECT_EQ(result.exit_status, kNotDone);
  EXPECT_EQ(result.output, "job 1 retried\njob 3 retried\n");
  EXPECT_THAT(result.errors, ContainsRegex("^postpone: job 2: [^\n]*.SQLSTATE 55P03.[^\n]*\n$"));
  const ProgramRun all = run({"stalled", "rescue", "--all", "--json"});
  EXPECT_EQ(all.exit_status, kNotDone);
  EXPECT_EQ(results(all), "2 database_error");
  sql("ROLLBACK");
  EXPECT_EQ(run({"stalled", "rescue", "--all"}).output, "job 2 retried\n");
}

TEST_F(CliStalled, FinishGoesOnBehindALockedJobToo) {
  for (int i = 0; i < 3; ++i) running(2);
  remove(2);
  sql("BEGIN; SELECT id FROM procrastinate_jobs WHERE id = 2 FOR UPDATE");
  const ProgramRun result = run({"jobs", "finish", "1", "2", "3", "--status", "failed", "--json"});
  sql("ROLLBACK");
  EXPECT_EQ(result.exit_status, kNotDone);
  EXPECT_EQ(results(result), "1 failed, 2 database_error, 3 failed");
  EXPECT_EQ(result.errors, "");
}

TEST_F(CliStalled, AnErrorThatEveryJobWouldMeetEndsTheWorkAndSaysWhatWasNotTried) {
  for (int i = 0; i < 4; ++i) running(2);
  remove(2);
  const auto at_job_2 = [&](const std::string& what) {
    sql("CREATE OR REPLACE FUNCTION at_2() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.id = 2 THEN " +
        what +
        "; END IF; RETURN NEW; END $$;"
        "CREATE OR REPLACE TRIGGER at_2 BEFORE UPDATE ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION "
        "at_2()");
  };
  at_job_2("RAISE 'no space left' USING ERRCODE = 'disk_full'");
  const ProgramRun finished = run({"jobs", "finish", "1", "2", "3", "4", "--status", "failed"});
  EXPECT_EQ(finished.exit_status, kNotDone);
  EXPECT_EQ(finished.output, "job 1 failed\n");
  EXPECT_THAT(finished.errors,
              ContainsRegex("^postpone: job 2: no space left .SQLSTATE 53100.[^\n]*; jobs 3 and 4 "
                            "were not tried\n$"));
  at_job_2("PERFORM pg_terminate_backend(pg_backend_pid())");
  const ProgramRun lost = run({"stalled", "rescue", "3", "2", "4", "--json"});
  EXPECT_EQ(lost.exit_status, kUnreachable) << lost.errors;
  EXPECT_EQ(results(lost), "3 retried, 2 database_error, 4 not_tried");
  EXPECT_THAT(lost.errors, HasSubstr("; whether the job was changed is not known; job 4 was not tried\n"));
}

TEST_F(CliStalled, FinishEndsAJobThatNobodyRuns) {
  const std::string first = running(2, ", lock => 'plate'");
  const std::string second = running(1);
  remove(2);
  silence(1);
  const ProgramRun result = run({"jobs", "finish", first, second, "--status", "succeeded"});
  EXPECT_EQ(result.exit_status, kDone) << result.errors;
  EXPECT_EQ(result.output, "job " + first + " succeeded\njob " + second + " succeeded\n");
  EXPECT_THAT(run({"jobs", "show", second}).output,
              AllOf(HasSubstr("finished_by_hand"), HasSubstr("finished by hand as succeeded")));
}

TEST_F(CliStalled, FinishTellsWhyItCannot) {
  const std::string living = running(1);
  const std::string ended = running(2);
  sql("SELECT procrastinate_finish_job_v1(" + ended + ", 'succeeded', false)");
  const std::string waiting = sql("SELECT postpone_defer('wash')");
  const ProgramRun result = run({"jobs", "finish", living, ended, waiting, "4711", "--status", "failed"});
  EXPECT_EQ(result.exit_status, kNotDone);
  EXPECT_THAT(result.errors, AllOf(ContainsRegex("job " + living +
                                                 " is running: its worker kitchen/1 on host web1 "
                                                 ".1. was heard of [0-9.]+ m?s ago; --force "),
                                   HasSubstr("job " + ended + " has ended already (succeeded)"),
                                   HasSubstr("job " + waiting + " does not run, it waits"),
                                   HasSubstr("there is no job 4711")));
  EXPECT_EQ(status(living), "doing");
  const nlohmann::json refused = json({"jobs", "finish", living, "--status", "failed"});
  EXPECT_EQ(refused.at(0)["result"], "doing");
  EXPECT_TRUE(refused.at(0)["problem"].is_string());
}

TEST_F(CliStalled, ForceIsObeyedAndSaysWhatItMeans) {
  const std::string living = running(2, ", lock => 'plate'");
  const ProgramRun result = run({"jobs", "finish", living, "--status", "failed", "--force"});
  EXPECT_EQ(result.exit_status, kDone);
  EXPECT_EQ(result.output, "job " + living + " failed\n");
  EXPECT_THAT(result.errors, AllOf(HasSubstr("its lock is free"),
                                   HasSubstr("worker 2 (not one of Postpone's) was heard of")));
  EXPECT_EQ(status(living), "failed");
}

TEST_F(CliStalled, ForceSaysNothingOfAWorkerThatIsGone) {
  const std::string gone = running(2);
  remove(2);
  EXPECT_EQ(run({"jobs", "finish", gone, "--status", "failed", "--force"}).errors, "");
}

}  // namespace
}  // namespace postpone::tests
