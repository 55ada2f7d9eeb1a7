// `postpone jobs cancel` and `postpone jobs retry` of many jobs at once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/cli_story.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace postpone::tests {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

enum { kDone = 0, kNotDone = 1, kUnreachable = 4 };

class CliSets : public CliStory {
 protected:
  ProgramRun run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "jobs");
    return CliStory::run(std::move(arguments));
  }
  nlohmann::json json(std::vector<std::string> arguments) const {
    arguments.emplace_back("--json");
    return nlohmann::json::parse(run(std::move(arguments)).output);
  }
  void insert(const std::string& status, int count, const std::string& queueing_lock = "NULL") const {
    sql("INSERT INTO procrastinate_jobs (queue_name, task_name, status, queueing_lock) SELECT 'kitchen', "
        "'wash', '" +
        status + "', " + queueing_lock + " FROM generate_series(1, " + std::to_string(count) + ") i");
  }
  std::string count(const std::string& condition) const {
    return sql("SELECT count(*) FROM procrastinate_jobs WHERE " + condition);
  }
};

TEST_F(CliSets, CancelManyWithOneLineAndAFewTransactions) {
  insert("todo", 2500);
  const ProgramRun result = run({"cancel", "--queue", "kitchen"});
  EXPECT_EQ(result.exit_status, kDone) << result.errors;
  EXPECT_THAT(result.output, StartsWith("2500 jobs cancelled (database " + database().name() + " on host "));
  EXPECT_EQ(count("status = 'cancelled'"), "2500");
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_events WHERE type = 'cancelled'"), "2500");
  EXPECT_EQ(sql("SELECT count(DISTINCT xmin::text) FROM procrastinate_jobs"), "3");
}

TEST_F(CliSets, DeleteManyAndAskThoseThatRunToStop) {
  insert("todo", 1200);
  insert("doing", 3);
  const ProgramRun result = run({"cancel", "--queue", "kitchen", "--delete", "--abort"});
  EXPECT_EQ(result.exit_status, kDone) << result.errors;
  EXPECT_THAT(result.output, AllOf(HasSubstr("1200 jobs deleted"), HasSubstr("3 jobs asked to stop")));
  EXPECT_EQ(count("status = 'doing' AND abort_requested"), "3");
  EXPECT_EQ(count("status <> 'doing'"), "0");
}

TEST_F(CliSets, ADryRunChangesNothingAndSaysWhatItWould) {
  insert("todo", 150);
  insert("failed", 2, "'plate'");
  EXPECT_THAT(run({"cancel", "--queue", "kitchen", "--dry-run"}).output,
              StartsWith("150 jobs would be cancelled"));
  EXPECT_EQ(run({"cancel", "1", "2", "--dry-run"}).output,
            "job 1 would be cancelled\njob 2 would be cancelled\n");
  const ProgramRun retry = run({"retry", "--queue", "kitchen", "--dry-run"});
  EXPECT_EQ(retry.exit_status, kNotDone);
  EXPECT_THAT(retry.output, StartsWith("1 job would be retried, with a fresh retry budget, 1 not"));
  EXPECT_THAT(retry.errors, HasSubstr("job 152 stays as it is: job 151 with the same queueing lock"));
  EXPECT_EQ(count("status = 'todo'"), "150");
  EXPECT_EQ(json({"cancel", "--queue", "kitchen", "--dry-run"})["counts"],
            (nlohmann::json{{"cancelled", 150}}));
}

TEST_F(CliSets, ManyThatCannotBeChangedAreCountedAndTheFirstNamed) {
  insert("succeeded", 500);
  const ProgramRun result = run({"cancel", "--status", "succeeded"});
  EXPECT_EQ(result.exit_status, kNotDone);
  EXPECT_THAT(result.output, StartsWith("0 jobs cancelled, 500 not"));
  EXPECT_THAT(result.errors, AllOf(HasSubstr("job 1 has ended (succeeded)"),
                                   HasSubstr("and 480 more (succeeded)"), Not(HasSubstr("job 21 "))));
  EXPECT_EQ(json({"cancel", "--status", "succeeded"})["jobs"].size(), 500U) << "as JSON all of them";
}

TEST_F(CliSets, RetryManyButNoneThatAnotherJobOfItsQueueingLockStandsFor) {
  insert("failed", 1100);
  insert("failed", 2, "'plate'");
  insert("failed", 1, "'cup'");
  sql("SELECT postpone_defer('wash', queueing_lock => 'cup')");
  const ProgramRun result = run({"retry", "--queue", "kitchen", "--new-priority", "7"});
  EXPECT_EQ(result.exit_status, kNotDone);
  EXPECT_THAT(result.output, StartsWith("1101 jobs retried, with a fresh retry budget, 2 not"));
  EXPECT_THAT(result.errors, AllOf(HasSubstr("job 1102 stays as it is: job 1101 with"),
                                   HasSubstr("job 1103 stays as it is: job 1104 with")));
  EXPECT_EQ(count("status = 'todo' AND priority = 7 AND attempts = 1"), "1101");
  EXPECT_EQ(count("status = 'failed' AND attempts = 0"), "2");
}

TEST_F(CliSets, AJobThatTheDatabaseRefusesCostsThatOneOnly) {
  insert("todo", 40);
  insert("failed", 3);
  sql("CREATE TABLE bills (job bigint REFERENCES procrastinate_jobs (id)); INSERT INTO bills VALUES (17);"
      " UPDATE procrastinate_jobs SET attempts = 2147483647 WHERE id = 42");
  const ProgramRun result = run({"cancel", "--queue", "kitchen", "--delete"});
  EXPECT_EQ(result.exit_status, kNotDone);
  EXPECT_THAT(result.output, StartsWith("39 jobs deleted, 1 not"));
  EXPECT_THAT(result.errors, AllOf(HasSubstr("job 17: "), HasSubstr("bills")));
  EXPECT_THAT(run({"retry", "--queue", "kitchen"}).output, StartsWith("3 jobs retried"));
}

// A trigger that does something when a statement changes job 1500.
std::string at_1500(const std::string& what) {
  return "CREATE FUNCTION at_1500() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.id = 1500 THEN " +
         what +
         "; END IF; IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$;"
         "CREATE TRIGGER at_1500 BEFORE UPDATE OR DELETE ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION "
         "at_1500()";
}
const std::string kDiskFull = "RAISE 'no space left' USING ERRCODE = 'disk_full'";

TEST_F(CliSets, AnErrorOfTheServerEndsTheWorkAndSaysHowFarItCame) {
  insert("todo", 2500);
  sql(at_1500(kDiskFull));
  const ProgramRun result = run({"cancel", "--queue", "kitchen"});
  EXPECT_EQ(result.exit_status, kNotDone);
  EXPECT_THAT(result.output, StartsWith("1000 jobs cancelled, 1500 not (database " + database().name()));
  EXPECT_THAT(
      result.errors,
      AllOf(StartsWith("postpone: 1000 jobs (the first is 1001, the last 2000): no space left (SQLSTATE "
                       "53100)"),
            HasSubstr("; some of them may have been changed; 500 jobs (the first is 2001, the last "
                      "2500) were not tried\n")));
  EXPECT_EQ(std::count(result.errors.begin(), result.errors.end(), '\n'), 1) << result.errors;
  EXPECT_EQ(count("status = 'cancelled'"), "1000");

  const ProgramRun again = run({"cancel", "--queue", "kitchen", "--json"});
  EXPECT_EQ(again.exit_status, kNotDone);
  EXPECT_THAT(again.errors, HasSubstr("no space left"));
  const auto answer = nlohmann::json::parse(again.output);
  EXPECT_EQ(answer["counts"], (nlohmann::json{{"database_error", 1000}, {"not_tried", 500}}));
  EXPECT_EQ(answer["jobs"].size(), 1500U);
  EXPECT_EQ(answer["jobs"][1499]["id"], 2500);
  EXPECT_THAT(answer["jobs"][1499]["problem"].get<std::string>(),
              StartsWith("job 2500 was not tried: no space left"));
}

TEST_F(CliSets, AConnectionThatIsLostHalfwaySaysSoToo) {
  insert("failed", 2500);
  sql(at_1500("PERFORM pg_terminate_backend(pg_backend_pid())"));
  const ProgramRun result = run({"retry", "--queue", "kitchen"});
  EXPECT_EQ(result.exit_status, kUnreachable) << result.errors;
  EXPECT_THAT(result.output, StartsWith("1000 jobs retried, with a fresh retry budget, 1500 not"));
  EXPECT_THAT(result.errors, HasSubstr("500 jobs (the first is 2001, the last 2500) were not tried"));
  const ProgramRun named = run({"retry", "1499", "1500", "1501"});
  EXPECT_EQ(named.exit_status, kUnreachable);
  EXPECT_EQ(named.output, "");
  EXPECT_THAT(named.errors, StartsWith("postpone: jobs 1499, 1500 and 1501: "));
}

TEST_F(CliSets, APurgeThatFailsHalfwaySaysWhatItHasDeleted) {
  insert("succeeded", 2500);
  sql("INSERT INTO procrastinate_events (job_id, type, at) SELECT id, 'succeeded', now() - interval '2 days' "
      "FROM procrastinate_jobs");
  sql(at_1500(kDiskFull));
  const std::vector<std::string> purge = {"purge", "--status", "succeeded", "--older-than", "1d"};
  const ProgramRun result = run(purge);
  EXPECT_EQ(result.exit_status, kNotDone);
  EXPECT_EQ(result.output, "1000 jobs (1000 succeeded) deleted\n");
  EXPECT_THAT(result.errors, AllOf(StartsWith("postpone: no space left"),
                                   HasSubstr("; the jobs behind these were not tried\n")));
  EXPECT_EQ(count("true"), "1500");
  EXPECT_EQ(json(purge),
            (nlohmann::json{{"jobs", 0}, {"by_status", {{"succeeded", 0}}}, {"dry_run", false}}));
}

TEST_F(CliSets, IdsThatAreNamedHaveTheirOwnAnswersInTheirOrder) {
  insert("todo", 1);
  insert("doing", 1);
  insert("failed", 1);
  const auto cancelled = json({"cancel", "3", "2", "1", "1", "99"});
  std::vector<std::string> results;
  for (const auto& job : cancelled["jobs"])
    results.push_back(job["id"].dump() + " " + job["result"].get<std::string>());
  EXPECT_THAT(results, ElementsAre("3 failed", "2 doing", "1 cancelled", "99 not_found"));
  EXPECT_EQ(run({"retry", "1", "3", "2", "--even-running"}).output,
            "job 1 retried, with a fresh retry budget\njob 3 retried, with a fresh retry budget\n"
            "job 2 retried, with a fresh retry budget\n");
}

// One by one (a queueing lock that several want) and all at once, which are two statements.
TEST_F(CliSets, RetryGivesAFreshBudgetOrAsManyAttemptsAsAreAskedFor) {
  insert("failed", 2);
  insert("failed", 2, "'plate'");
  sql("UPDATE procrastinate_jobs SET attempts = 4, uncounted_attempts = 1, attempts_allowed = 2");
  EXPECT_EQ(run({"retry", "1", "3"}).output,
            "job 1 retried, with a fresh retry budget\njob 3 retried, with a fresh retry budget\n");
  const std::string budgets =
      "SELECT string_agg(concat_ws('/', uncounted, allowed, misfits), ' ' ORDER BY job.id)"
      " FROM procrastinate_jobs job, postpone_retry_budget(job.id) WHERE job.id IN ";
  EXPECT_EQ(sql(budgets + "(1, 3)"), "5/0 5/0");
  sql("UPDATE procrastinate_jobs SET status = 'failed' WHERE id = 3");
  EXPECT_EQ(run({"retry", "2", "3", "4", "--attempts", "3"}).output,
            "job 2 retried, for 3 attempts at most\njob 3 retried, for 3 attempts at most\n");
  EXPECT_EQ(sql(budgets + "(2, 3)"), "5/3/0 6/3/0");
  EXPECT_EQ(run({"retry", "4", "--attempts", "0"}).exit_status, kUsage);
}

TEST_F(CliSets, OnATerminalTheyAskBeforeMoreThanAHundred) {
  insert("todo", 101);
  const std::vector<std::string> cancel = {POSTPONE_CLI, "jobs", "cancel", "--queue", "kitchen"};
  Terminal no(cancel, environment());
  ASSERT_TRUE(no.shows("cancel 101 jobs of database " + database().name())) << no.screen().text();
  no.type("\n");
  EXPECT_EQ(no.ended(), kNotDone);
  EXPECT_THAT(no.screen().text(), HasSubstr("nothing was done"));
  EXPECT_EQ(count("status = 'todo'"), "101");

  Terminal yes(cancel, environment());
  ASSERT_TRUE(yes.shows("[y/N]"));
  yes.type("y\n");
  EXPECT_EQ(yes.ended(), kDone);
  EXPECT_THAT(yes.screen().text(), HasSubstr("101 jobs cancelled"));
  EXPECT_EQ(count("status = 'todo'"), "0");

  insert("todo", 101);
  std::vector<std::string> unasked = cancel;
  unasked.emplace_back("--yes");
  Terminal sure(unasked, environment());
  EXPECT_EQ(sure.ended(), kDone);
  EXPECT_THAT(sure.screen().text(), AllOf(HasSubstr("101 jobs cancelled"), Not(HasSubstr("[y/N]"))));
}

TEST_F(CliSets, ATerminalIsToldWhichDatabaseIsChanged) {
  Terminal terminal({POSTPONE_CLI, "defer", "wash"}, environment());
  EXPECT_EQ(terminal.ended(), kDone);
  EXPECT_THAT(terminal.screen().text(), HasSubstr("postpone: database " + database().name() + " on host "));
  EXPECT_THAT(run_program({POSTPONE_CLI, "defer", "wash"}, {.environment = environment()}).errors, IsEmpty());
}

}  // namespace
}  // namespace postpone::tests
