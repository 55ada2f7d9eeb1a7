// `postpone defer --stdin` and `postpone jobs purge`: many jobs at once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/cli_story.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

// Exit codes, as docs/cli.md promises them.
enum { kDone = 0, kNotDone = 1, kUsage = 2 };

class CliMany : public CliStory {
 protected:
  std::string jobs() const { return sql("SELECT count(*) FROM procrastinate_jobs"); }
};

std::string lines(int count, const std::string& line = R"({"task": "wash"})") {
  std::string text;
  for (int i = 0; i < count; ++i) text += line + "\n";
  return text;
}

// --- defer --stdin ---

using CliDeferLines = CliMany;

TEST_F(CliDeferLines, APrivilegeThatIsTakenAwayMeanwhileLeavesTheCountOfWhatIsStored) {
  sql("CREATE FUNCTION at_1500() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 1500 THEN RAISE "
      "'permission denied' USING ERRCODE = 'insufficient_privilege'; END IF; RETURN NEW; END $$;"
      "CREATE TRIGGER at_1500 BEFORE INSERT ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION at_1500()");
  const ProgramRun result = run({"defer", "--stdin"}, lines(2500));
  EXPECT_EQ(result.exit_status, kNotDone);
  EXPECT_THAT(result.errors,
              AllOf(HasSubstr("lines 1001 to 2000: permission denied (SQLSTATE 42501)"),
                    HasSubstr("; lines 1 to 1000 are stored, the rest is not: go on from line 1001")));
  EXPECT_EQ(jobs(), "1000");
}

TEST_F(CliDeferLines, StoreWhatEachLineSaysInTheirOrder) {
  const ProgramRun result =
      run({"defer", "--stdin", "--queue", "kitchen"},
          R"({"task": "wash", "args": {"dish": "plate"}, "priority": 7, "lock": "sink"})"
          "\n\n"
          R"({"task": "dry", "queue": "bar", "queueing_lock": "once"})");
  EXPECT_EQ(result.exit_status, kDone) << result.errors;
  EXPECT_EQ(result.output, "2 jobs deferred\n");
  EXPECT_EQ(
      sql("SELECT string_agg(concat_ws(' ', task_name, queue_name, args, priority, lock, queueing_lock), '; '"
          "                  ORDER BY id) FROM procrastinate_jobs"),
      R"(wash kitchen {"dish": "plate"} 7 sink; dry bar {} 0 once)");
}

TEST_F(CliDeferLines, AreReadForADashInThePlaceOfTheTask) {
  EXPECT_EQ(run({"defer", "-", "--print-ids"}, lines(3)).output, "1\n2\n3\n");
  EXPECT_EQ(run({"defer", "-"}, "").output, "0 jobs deferred\n");
}

TEST_F(CliDeferLines, TakeTheTaskFromTheCommandLineWhereTheySayNone) {
  EXPECT_EQ(run({"defer", "wash", "--stdin", "--in", "1h"}, "{}\n").exit_status, kDone);
  EXPECT_EQ(sql("SELECT task_name FROM procrastinate_jobs WHERE scheduled_at > now()"), "wash");
}

TEST_F(CliDeferLines, ThatAreWrongEndItAndSayWhatIsStored) {
  const ProgramRun result = run({"defer", "--stdin"}, lines(1200) + R"({"task": "wash", "prio": 1})" + "\n");
  EXPECT_EQ(result.exit_status, kNotDone);
  EXPECT_EQ(
      result.errors,
      "postpone: line 1201, column 18: \"prio\" is no key of a job; they are task, args, queue, priority, "
      "lock, queueing_lock, scheduled_at, on_conflict, meta; lines 1 to 1000 are stored, the rest is not: go "
      "on from line "
      "1001\n");
  EXPECT_EQ(jobs(), "1000");
}

TEST_F(CliDeferLines, OfOneTransactionAreStoredTogetherOrNotAtAll) {
  const ProgramRun wrong = run({"defer", "--stdin", "--all-or-nothing", "--print-ids"}, lines(1200) + "{}\n");
  EXPECT_EQ(wrong.exit_status, kNotDone);
  EXPECT_THAT(wrong.errors, AllOf(HasSubstr("line 1201, column 1: \"task\" is missing"),
                                  EndsWith("; nothing is stored\n")));
  EXPECT_EQ(wrong.output, "") << "no id of a job that does not exist";
  EXPECT_EQ(jobs(), "0");
  EXPECT_EQ(run({"defer", "--stdin", "--all-or-nothing"}, lines(1200)).output, "1200 jobs deferred\n");
  EXPECT_EQ(sql("SELECT count(DISTINCT xmin::text) FROM procrastinate_jobs"), "1");
}

TEST_F(CliDeferLines, WhoseQueueingLockIsTakenAreNamedOrPassedOver) {
  const std::string input = lines(2) + lines(1, R"({"task": "wash", "queueing_lock": "once"})") + lines(1) +
                            lines(1, R"({"task": "wash", "queueing_lock": "once"})");
  const ProgramRun twice = run({"defer", "--stdin"}, input);
  EXPECT_EQ(twice.exit_status, kNotDone);
  EXPECT_THAT(twice.errors,
              AllOf(HasSubstr("line 5, column 1: a job with queueing lock \"once\" waits already"),
                    HasSubstr("nothing is stored")));
  const ProgramRun ignored = run({"defer", "--stdin", "--ignore-already-enqueued"}, input);
  EXPECT_EQ(ignored.exit_status, kDone) << ignored.errors;
  EXPECT_EQ(ignored.output, "4 jobs deferred, 1 enqueued already\n");
  EXPECT_EQ(run({"defer", "--stdin", "--ignore-already-enqueued"}, input).output,
            "3 jobs deferred, 2 enqueued already\n");
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_jobs WHERE queueing_lock = 'once'"), "1");
}

TEST_F(CliDeferLines, ThatTheDatabaseWouldRefuseAreRefusedWithTheirNumber) {
  const std::string line = R"({"task": ")" + std::string(129, 'x') + "\"}\n";
  EXPECT_THAT(run({"defer", "--stdin"}, lines(3) + line).errors, HasSubstr("line 4, column 1: "));
}

TEST_F(CliDeferLines, AreStoredAThousandToATransaction) {
  EXPECT_EQ(run({"defer", "--stdin"}, lines(2500)).exit_status, kDone);
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_events WHERE type = 'deferred'"), "2500");
  EXPECT_EQ(sql("SELECT count(DISTINCT xmin::text) FROM procrastinate_jobs"), "3");
}

TEST_F(CliDeferLines, GoWithTheirOwnOptionsOnly) {
  EXPECT_EQ(run({"defer"}).exit_status, kUsage);
  EXPECT_EQ(run({"defer", "wash", "{}", "--stdin"}).exit_status, kUsage);
  EXPECT_EQ(run({"defer", "wash", "--all-or-nothing"}).exit_status, kUsage);
  EXPECT_EQ(run({"defer", "wash", "--print-ids"}).exit_status, kUsage);
}

TEST_F(CliDeferLines, ShowHowFarTheyAreOnATerminalAndNowhereElse) {
  // The input stays open until the terminal has shown something.
  const ProgramRun result = shell(
      "typescript=$(mktemp); feed() { echo '{\"task\": \"wash\"}'; until grep -q ' jobs, ' \"$typescript\"; "
      "do"
      " for ((i = 0; i < 1000; ++i)); do echo '{\"task\": \"wash\"}'; done; done; };"
      " export typescript postpone; feed | script -qefc \"$postpone defer --stdin\" \"$typescript\" > "
      "/dev/null;"
      " cat \"$typescript\"; rm \"$typescript\"");
  EXPECT_THAT(result.output, AllOf(HasSubstr(" jobs, "), HasSubstr("\r\x1b[K"), HasSubstr("jobs deferred")));
  EXPECT_EQ(run({"defer", "--stdin"}, lines(3000)).errors, "");
}

// --- purge ---

class CliPurge : public CliMany {
 protected:
  // A job whose last event is so long ago.
  std::string ended(const std::string& status, const std::string& ago,
                    const std::string& queue = "default") const {
    const std::string id = sql("INSERT INTO procrastinate_jobs (queue_name, task_name, status) VALUES ('" +
                               queue + "', 'wash', '" + status + "') RETURNING id");
    sql("INSERT INTO procrastinate_events (job_id, type, at) VALUES (" + id +
        ", 'deferred', now() - interval '1 year'),"
        " (" +
        id + ", 'scheduled', now() + interval '1 year'), (" + id + ", 'succeeded', now() - interval '" + ago +
        "')");
    return id;
  }
  std::string left() const {
    return sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM procrastinate_jobs");
  }
};

TEST_F(CliPurge, DeletesWhatEndedLongAgoAndNothingElse) {
  const std::string old = ended("succeeded", "8 days");
  sql("INSERT INTO postpone_attempts (job_id, attempt, cause) VALUES (" + old + ", 1, 'succeeded')");
  const std::string failed = ended("failed", "8 days");
  const std::string young = ended("succeeded", "6 days");
  const std::string waiting = sql("SELECT postpone_defer('wash')");
  sql("UPDATE procrastinate_events SET at = now() - interval '1 year' WHERE job_id = " + waiting);
  const std::string ageless =
      sql("INSERT INTO procrastinate_jobs (queue_name, task_name, status) VALUES ('q', 'wash', 'succeeded') "
          "RETURNING id");

  const std::vector<std::string> purge = {"jobs", "purge", "--older-than", "7d", "--status", "succeeded"};
  std::vector<std::string> dry_run = purge;
  dry_run.emplace_back("--dry-run");
  EXPECT_EQ(run(dry_run).output, "1 job (1 succeeded) would be deleted\n");
  EXPECT_EQ(jobs(), "5");
  const ProgramRun result = run(purge);
  EXPECT_EQ(result.exit_status, kDone) << result.errors;
  EXPECT_EQ(result.output, "1 job (1 succeeded) deleted\n");
  std::string expected = failed;
  for (const std::string& id : {young, waiting, ageless}) expected += " " + id;
  EXPECT_EQ(left(), expected);
  EXPECT_EQ(sql("SELECT count(*) FROM postpone_attempts"), "0");
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_events WHERE job_id = " + old), "0");
  EXPECT_EQ(run(purge).output, "0 jobs deleted\n");
}

TEST_F(CliPurge, KeepsToItsQueueTaskAndStatuses) {
  const std::string kitchen = ended("failed", "8 days", "kitchen");
  const std::string bar = ended("cancelled", "8 days", "bar");
  ended("aborted", "8 days", "bar");
  const std::vector<std::string> purge = {"jobs",     "purge",          "--older-than", "1h",
                                          "--status", "failed,aborted", "--json"};
  std::vector<std::string> in_bar = purge;
  in_bar.insert(in_bar.end(), {"--queue", "bar", "--task", "wash"});
  const auto result = nlohmann::json::parse(run(in_bar).output);
  EXPECT_EQ(result["jobs"], 1);
  EXPECT_EQ(result["by_status"], (nlohmann::json{{"failed", 0}, {"aborted", 1}}));
  EXPECT_EQ(result["dry_run"], false);
  EXPECT_EQ(left(), kitchen + " " + bar);
}

TEST_F(CliPurge, GoesThroughMoreJobsThanOneStepTakes) {
  sql("INSERT INTO procrastinate_jobs (queue_name, task_name, status)"
      " SELECT 'default', 'wash', 'succeeded' FROM generate_series(1, 2500)");
  sql("INSERT INTO procrastinate_events (job_id, type, at)"
      " SELECT id, 'succeeded', now() - interval '8 days' FROM procrastinate_jobs");
  EXPECT_EQ(run({"jobs", "purge", "--older-than", "7d", "--status", "succeeded"}).output,
            "2500 jobs (2500 succeeded) deleted\n");
  EXPECT_EQ(jobs(), "0");
}

TEST_F(CliPurge, PassesOverWhatSomebodyElseHasLocked) {
  const std::string locked = ended("failed", "8 days");
  ended("failed", "8 days");
  sql("BEGIN");
  sql("SELECT id FROM procrastinate_jobs WHERE id = " + locked + " FOR UPDATE");
  EXPECT_EQ(run({"jobs", "purge", "--older-than", "7d", "--status", "failed"}).output,
            "1 job (1 failed) deleted\n");
  sql("COMMIT");
  EXPECT_EQ(left(), locked);
}

TEST_F(CliPurge, IsRefusedForJobsThatHaveNotEnded) {
  for (const char* status : {"todo", "doing", "succeeded,doing", "aborting"}) {
    const ProgramRun result = run({"jobs", "purge", "--older-than", "7d", "--status", status});
    EXPECT_EQ(result.exit_status, kUsage) << status;
    EXPECT_THAT(result.errors, HasSubstr("have not ended")) << status;
  }
  EXPECT_EQ(run({"jobs", "purge", "--older-than", "7d", "--status", "lost"}).exit_status, kUsage);
  EXPECT_EQ(run({"jobs", "purge", "--older-than", "long", "--status", "failed"}).exit_status, kUsage);
  EXPECT_EQ(run({"jobs", "purge", "--older-than", "7d"}).exit_status, kUsage) << "which must be said";
  EXPECT_EQ(run({"jobs", "purge", "--status", "failed"}).exit_status, kUsage) << "how old must be said";
}

}  // namespace
}  // namespace postpone::tests
