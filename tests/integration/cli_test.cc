// The program `postpone` as people and scripts see it: what it prints, and how it ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/cli_story.h"
#include "tests/support/eventually.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

// Exit codes, as docs/cli.md promises them.
enum { kDone = 0, kNotDone = 1, kUsage = 2, kConfiguration = 3, kUnreachable = 4, kSchema = 5 };

ProgramRun postpone(std::vector<std::string> arguments, ProgramOptions options) {
  arguments.insert(arguments.begin(), POSTPONE_CLI);
  return run_program(arguments, options);
}

ProgramRun postpone_without_database(std::vector<std::string> arguments) {
  return postpone(std::move(arguments), {.environment = {{"POSTPONE_DATABASE_URL", ""}}});
}

// How every error looks: one line that says whose it is.
MATCHER(IsOneLine, "is one line that starts with \"postpone: \"") {
  return arg.starts_with("postpone: ") && arg.find('\n') == arg.size() - 1;
}

class Cli : public CliStory {
 protected:
  // Defers, and returns the id as it was printed.
  std::string defer(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "defer");
    const ProgramRun result = run(std::move(arguments));
    EXPECT_EQ(result.exit_status, kDone) << result.errors;
    return result.output.substr(0, result.output.find('\n'));
  }
  nlohmann::json json(std::vector<std::string> arguments) const {
    arguments.emplace_back("--json");
    return nlohmann::json::parse(run(std::move(arguments)).output);
  }

};

class CliOnEmptyDatabase : public CliStory {
 protected:
  CliOnEmptyDatabase() : CliStory(Schema::none) {}
};

// --- the command line ---

TEST(CliUsage, VersionAndHelpNeedNoDatabase) {
  const ProgramRun version = postpone_without_database({"--version"});
  EXPECT_EQ(version.exit_status, kDone);
  EXPECT_THAT(version.output, StartsWith("postpone "));
  const ProgramRun help = postpone_without_database({"--help"});
  EXPECT_EQ(help.exit_status, kDone);
  EXPECT_THAT(help.output, HasSubstr("Exit codes:"));
  EXPECT_THAT(postpone_without_database({"jobs", "list", "--help"}).output, HasSubstr("--limit"));
}

TEST(CliUsage, AWrongLineIsRefusedBeforeAnythingIsDone) {
  const std::vector<std::vector<std::string>> lines = {
      {},
      {"dance"},
      {"defer"},
      {"defer", "wash", "{}", "--priority", "high"},
      {"defer", "wash", "{}", "--at", "tomorrow"},
      {"defer", "wash", "{}", "--at", "9999-12-31"},
      {"defer", "wash", "{}", "--in", "5 parsecs"},
      {"defer", "wash", "{}", "--in", "200000d"},
      {"defer", "wash", "{}", "--in", "5s", "--at", "2025-01-01"},
      {"jobs"},
      {"jobs", "show"},
      {"jobs", "show", "first"},
      {"jobs", "list", "--status", "lost"},
      {"jobs", "list", "--limit", "-1"},
      {"jobs", "list", "--limit", "2147483647"},
      {"jobs", "cancel"},
      {"jobs", "cancel", "1", "--queue", "kitchen"},
      {"jobs", "retry"},
  };
  for (const auto& line : lines) {
    const ProgramRun run = postpone_without_database(line);
    EXPECT_EQ(run.exit_status, kUsage) << testing::PrintToString(line);
    EXPECT_THAT(run.errors, AllOf(IsOneLine(), HasSubstr("--help"))) << testing::PrintToString(line);
  }
}

TEST(CliUsage, WrongArgumentsAreRefusedWithThePlace) {
  const ProgramRun run = postpone_without_database({"defer", "wash", R"({"dish": plate})"});
  EXPECT_EQ(run.exit_status, kUsage);
  EXPECT_THAT(run.errors, AllOf(IsOneLine(), HasSubstr("line 1, column 10")));
}

TEST(CliUsage, ANumberThatNoDoubleHoldsIsRefused) {
  const ProgramRun run = postpone_without_database({"defer", "wash", R"({"n": 1e400})"});
  EXPECT_EQ(run.exit_status, kUsage);
  EXPECT_THAT(run.errors, AllOf(IsOneLine(), HasSubstr("1e400"), Not(HasSubstr("json.exception"))));
}

TEST(CliUsage, NothingOfALineIsObeyedByTheTerminalThatShowsWhatIsWrongWithIt) {
  const ProgramRun run = postpone_without_database({"jobs", "list", "--status", "\x1b]0;pwned\a"});
  EXPECT_EQ(run.exit_status, kUsage);
  EXPECT_THAT(run.errors, AllOf(IsOneLine(), HasSubstr("\\x1B]0;pwned\\x07")));
}

TEST(CliUsage, ASilentServerIsReportedAsUnreachable) {
  const ProgramRun run =
      postpone_without_database({"--database-url", "host=/nonexistent password=sesame", "jobs", "list"});
  EXPECT_EQ(run.exit_status, kUnreachable);
  EXPECT_THAT(run.errors, AllOf(StartsWith("postpone: "), Not(HasSubstr("sesame"))));
}

TEST(CliUsage, AWrongUrlIsReportedWithoutItsSecrets) {
  for (const std::vector<std::string>& line :
       {std::vector<std::string>{"jobs", "list"}, {"schema", "check"}}) {
    std::vector<std::string> arguments = {"--database-url", "postgresql://me:sesame@host:port/x?nonsense=1"};
    arguments.insert(arguments.end(), line.begin(), line.end());
    const ProgramRun run = postpone_without_database(arguments);
    EXPECT_EQ(run.exit_status, kConfiguration);
    EXPECT_THAT(run.errors, AllOf(IsOneLine(), Not(HasSubstr("sesame"))));
  }
}

TEST(CliUsage, AnOptionOfAUrlThatDoesNotExistIsNamedUnlessItMayBeAPassword) {
  const auto errors = [](const std::string& url) {
    return postpone_without_database({"--database-url", url, "jobs", "list"}).errors;
  };
  EXPECT_THAT(errors("hots=/tmp password=sesame"), AllOf(HasSubstr("\"hots\""), Not(HasSubstr("sesame"))));
  EXPECT_THAT(errors("postgresql://h/d?hots=1"), HasSubstr("\"hots\""));
  EXPECT_THAT(errors("host=/tmp password=open sesame=1"), Not(HasSubstr("sesame")));
  EXPECT_THAT(errors("postgresql://me:open?sesame=1@h/d"), Not(HasSubstr("sesame")));
}

TEST(CliUsage, AWordThatIsNoCommandIsNamed) {
  EXPECT_THAT(postpone_without_database({"dfer", "wash"}).errors,
              AllOf(IsOneLine(), HasSubstr("\"dfer\" is no command; did you mean \"defer\"?")));
  EXPECT_THAT(postpone_without_database({"nonsense"}).errors,
              AllOf(HasSubstr("\"nonsense\""), HasSubstr("defer")));
  EXPECT_THAT(postpone_without_database({"jobs", "lits"}).errors, HasSubstr("\"lits\" is no command"));
}

// --- schema ---

TEST_F(CliOnEmptyDatabase, SchemaIsAppliedOnceAndThenThere) {
  const ProgramRun before = run({"schema", "check"});
  EXPECT_EQ(before.exit_status, kSchema);
  EXPECT_THAT(before.errors, HasSubstr("schema apply"));

  const ProgramRun apply = run({"schema", "apply"});
  EXPECT_EQ(apply.exit_status, kDone) << apply.errors;
  EXPECT_THAT(apply.output, StartsWith("applied "));
  EXPECT_EQ(run({"schema", "check"}).exit_status, kDone);

  const ProgramRun again = run({"schema", "apply"});
  EXPECT_EQ(again.exit_status, kDone);
  EXPECT_THAT(again.output, StartsWith("nothing to do"));
}

TEST_F(CliOnEmptyDatabase, JobsWithoutASchemaNameTheCommandToRun) {
  for (const std::vector<std::string>& line :
       {std::vector<std::string>{"jobs", "list"}, std::vector<std::string>{"defer", "wash"}}) {
    const ProgramRun result = run(line);
    EXPECT_EQ(result.exit_status, kSchema);
    EXPECT_THAT(result.errors, AllOf(IsOneLine(), HasSubstr("postpone schema apply")));
  }
}

TEST_F(Cli, ASchemaThatIsNewerThanTheProgramIsNotApplied) {
  sql("INSERT INTO postpone_migrations (version, name) VALUES (9999, '9999_future')");
  EXPECT_EQ(run({"schema", "check"}).exit_status, kSchema);
  const ProgramRun apply = run({"schema", "apply"});
  EXPECT_EQ(apply.exit_status, kSchema);
  EXPECT_THAT(apply.errors, IsOneLine());
}

TEST(CliSchema, IsShownWithoutADatabase) {
  const ProgramRun run = postpone_without_database({"schema", "show"});
  EXPECT_EQ(run.exit_status, kDone);
  EXPECT_THAT(run.output, HasSubstr("procrastinate_jobs"));
}

// --- defer ---

TEST_F(Cli, DeferPrintsTheIdAndStoresWhatWasSaid) {
  const std::string id =
      defer({"dishes.wash", R"({"dish": "plate"})", "--queue", "kitchen", "--lock", "sink", "--queueing-lock",
             "plate", "--priority", "-5", "--at", "2030-01-01T12:00:00Z"});
  const auto job = json({"jobs", "show", id});
  EXPECT_EQ(job["id"].dump(), id);
  EXPECT_EQ(job["task"], "dishes.wash");
  EXPECT_EQ(job["args"], (nlohmann::json{{"dish", "plate"}}));
  EXPECT_EQ(job["queue"], "kitchen");
  EXPECT_EQ(job["lock"], "sink");
  EXPECT_EQ(job["queueing_lock"], "plate");
  EXPECT_EQ(job["priority"], -5);
  EXPECT_EQ(job["status"], "todo");
  EXPECT_EQ(job["scheduled_at"], "2030-01-01T12:00:00.000000Z");
}

TEST_F(Cli, DeferReadsArgumentsFromStandardInput) {
  const ProgramRun result = run({"defer", "wash", "-"}, "{\"dish\":\n \"plate\"}\n");
  ASSERT_EQ(result.exit_status, kDone) << result.errors;
  EXPECT_EQ(sql("SELECT args->>'dish' FROM procrastinate_jobs"), "plate");
}

TEST_F(Cli, DeferInCountsFromTheDatabasesClock) {
  defer({"wash", "--in", "2h"});
  EXPECT_EQ(sql("SELECT j.scheduled_at - e.at BETWEEN '119 min' AND '121 min' FROM procrastinate_jobs j "
                "JOIN procrastinate_events e ON e.job_id = j.id AND e.type = 'deferred'"),
            "t");
}

TEST_F(Cli, ASecondWaitingJobIsRefusedUnlessThatIsFine) {
  const std::string first = defer({"wash", "--queueing-lock", "plate"});
  const ProgramRun refused = run({"defer", "wash", "--queueing-lock", "plate"});
  EXPECT_EQ(refused.exit_status, kNotDone);
  EXPECT_THAT(refused.output, IsEmpty());
  EXPECT_THAT(refused.errors, AllOf(IsOneLine(), HasSubstr("already enqueued"), HasSubstr("job " + first)));

  const ProgramRun ignored = run({"defer", "wash", "--queueing-lock", "plate", "--ignore-already-enqueued"});
  EXPECT_EQ(ignored.exit_status, kDone);
  EXPECT_THAT(ignored.output, IsEmpty());
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_jobs"), "1");
}

TEST_F(Cli, WhatTheDatabaseRefusesIsOneLine) {
  const ProgramRun result = run({"defer", "wash", "--queue", std::string(200, 'q')});
  EXPECT_EQ(result.exit_status, kNotDone);
  EXPECT_THAT(result.errors, IsOneLine());
}

// --- jobs ---

TEST_F(Cli, ListShowsWhatTheFiltersChoose) {
  const std::string plate = defer({"wash", R"({"dish": "plate"})", "--queue", "kitchen", "--lock", "sink"});
  const std::string towel = defer({"dry", "--queue", "bath", "--queueing-lock", "towel"});
  const std::string cup = defer({"wash", R"({"dish": "cup"})", "--queue", "kitchen"});
  run({"jobs", "cancel", cup});

  const auto ids = [this](std::vector<std::string> filter) {
    filter.insert(filter.begin(), {"jobs", "list"});
    std::vector<std::string> found;
    const nlohmann::json list = json(filter);
    for (const auto& job : list["jobs"]) found.push_back(job["id"].dump());
    return found;
  };
  EXPECT_THAT(ids({}), ElementsAre(cup, towel, plate));
  EXPECT_THAT(ids({"--oldest-first"}), ElementsAre(plate, towel, cup));
  EXPECT_THAT(ids({"--queue", "kitchen"}), ElementsAre(cup, plate));
  EXPECT_THAT(ids({"--task", "dry"}), ElementsAre(towel));
  EXPECT_THAT(ids({"--lock", "sink"}), ElementsAre(plate));
  EXPECT_THAT(ids({"--queueing-lock", "towel"}), ElementsAre(towel));
  EXPECT_THAT(ids({"--status", "cancelled"}), ElementsAre(cup));
  EXPECT_THAT(ids({"--status", "todo,cancelled", "--queue", "kitchen"}), ElementsAre(cup, plate));

  const ProgramRun table = run({"jobs", "list"});
  EXPECT_THAT(table.output,
              AllOf(StartsWith("ID  STATUS"), HasSubstr("kitchen"), HasSubstr(R"({"dish": "cup"})")));
}

TEST_F(Cli, ListSaysWhenThereIsMore) {
  for (const char* dish : {"a", "b", "c"}) defer({dish});
  const auto two = json({"jobs", "list", "--limit", "2"});
  EXPECT_EQ(two["jobs"].size(), 2);
  EXPECT_EQ(two["more"], true);
  const ProgramRun listed = run({"jobs", "list", "--limit", "2"});
  EXPECT_THAT(listed.output, Not(HasSubstr("more exist")))
      << "a program that reads the lines would take it for one";
  EXPECT_EQ(listed.errors, "postpone: more exist: --limit\n");
  const auto all = json({"jobs", "list", "--limit", "0"});
  EXPECT_EQ(all["jobs"].size(), 3);
  EXPECT_EQ(all["more"], false);
}

// Failed jobs are so rare here, and so new, that the planner's statistics know of none.
TEST_F(Cli, ListReadsNoWholeTableForTheNewestOfThoseThatFailed) {
  const auto insert = [this](const std::string& status, int count) {
    sql("INSERT INTO procrastinate_jobs (queue_name, task_name, status) SELECT 'kitchen', 'wash', '" +
        status + "' FROM generate_series(1, " + std::to_string(count) + ")");
  };
  sql("SET session_replication_role = replica");  // without triggers, which would look into the table, too
  insert("succeeded", 20'000);
  sql("ANALYZE procrastinate_jobs");
  insert("failed", 6);
  const auto scans = [this](const std::string& kind) {
    return std::stoll(sql("SELECT pg_stat_clear_snapshot(); SELECT " + kind +
                          " FROM pg_stat_user_tables WHERE relname = 'procrastinate_jobs'"));
  };
  const auto whole = scans("seq_scan");
  const auto by_index = scans("idx_scan");
  const auto fetched = scans("idx_tup_fetch");
  const nlohmann::json listed = json({"jobs", "list", "--status", "failed", "--limit", "5"});
  EXPECT_EQ(listed.at("jobs").size(), 5U);
  EXPECT_EQ(listed.at("more"), true);
  ASSERT_TRUE(eventually([&] { return scans("idx_scan") > by_index; }))
      << "what it did is counted as it ends";
  EXPECT_EQ(scans("seq_scan"), whole);
  EXPECT_LT(scans("idx_tup_fetch") - fetched, 100);
}

TEST_F(Cli, CountTellsOfEachStatusHowManyThereAre) {
  for (const char* status : {"succeeded", "succeeded", "failed", "aborting"})
    sql(std::string(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, status) VALUES ('kitchen', 'wash', '") +
        status + "')");
  defer({"wash", "--queue", "kitchen"});
  defer({"dry", "--queue", "bath"});
  const auto count = [this](std::vector<std::string> filter) {
    filter.insert(filter.begin(), {"jobs", "count"});
    return json(std::move(filter)).dump();
  };
  EXPECT_EQ(count({}), R"({"aborted":1,"cancelled":0,"doing":0,"failed":1,"succeeded":2,"todo":2})");
  EXPECT_EQ(count({"--task", "dry"}),
            R"({"aborted":0,"cancelled":0,"doing":0,"failed":0,"succeeded":0,"todo":1})");
  EXPECT_EQ(count({"--queue", "kitchen", "--status", "todo,failed"}),
            R"({"aborted":0,"cancelled":0,"doing":0,"failed":1,"succeeded":0,"todo":1})");
  EXPECT_EQ(run({"jobs", "count"}).output,
            "STATUS     JOBS\n"
            "todo          2\n"
            "doing         0\n"
            "succeeded     2\n"
            "failed        1\n"
            "cancelled     0\n"
            "aborted       1\n"
            "all           6\n");
}

TEST_F(Cli, ListOfNothingSaysSo) {
  EXPECT_EQ(run({"jobs", "list"}).output, "no such jobs\n");
  EXPECT_EQ(json({"jobs", "list"}), (nlohmann::json{{"jobs", nlohmann::json::array()}, {"more", false}}));
}

TEST_F(Cli, JsonKeepsArgumentsAsTheDatabaseHasThem) {
  defer({"wash"});
  const std::string args = R"({"a": 12345678901234567890123, "b": 3.10, "c": "\\u0000 \"", "d": [1e-400]})";
  sql("UPDATE procrastinate_jobs SET args = '" + args + "'");
  const std::string stored = sql("SELECT args FROM procrastinate_jobs");
  EXPECT_THAT(stored, HasSubstr("3.10"));
  EXPECT_THAT(run({"jobs", "list", "--json"}).output, HasSubstr("\"args\": " + stored + ","));
  sql("UPDATE procrastinate_jobs SET args = '[1e400]'");
  EXPECT_THAT(run({"jobs", "list", "--json"}).output, HasSubstr("\"args\": [1000000"));
}

TEST_F(Cli, NoLockSpeaksToTheTerminalEither) {
  const std::vector<std::string> line = {"defer", "wash", "--queueing-lock", "\x1b]0;pwned\a"};
  EXPECT_EQ(run(line).exit_status, kDone);
  const ProgramRun refused = run(line);
  EXPECT_EQ(refused.exit_status, kNotDone);
  EXPECT_THAT(refused.errors, AllOf(IsOneLine(), HasSubstr("\\x1B]0;pwned\\x07"), Not(HasSubstr("\x1b"))));
  std::vector<std::string> forgiving = line;
  forgiving.emplace_back("--ignore-already-enqueued");
  EXPECT_THAT(run(forgiving).errors, AllOf(IsOneLine(), HasSubstr("\\x1B]0;pwned"), Not(HasSubstr("\x1b"))));
}

TEST_F(Cli, ListLetsNoJobSpeakToTheTerminal) {
  defer({"bell\x1b[2J"});
  EXPECT_THAT(run({"jobs", "list"}).output, AllOf(Not(HasSubstr("\x1b")), HasSubstr("bell\\x1B[2J")));
}

TEST_F(Cli, ShowTellsWhyAnAttemptFailed) {
  const std::string id = defer({"wash"});
  sql("UPDATE procrastinate_jobs SET status = 'doing'");
  sql("UPDATE procrastinate_jobs SET status = 'failed', attempts = 1");
  sql("INSERT INTO postpone_attempts (job_id, attempt, cause, message, signal, stderr_tail, run_time, "
      "cpu_time, max_rss, "
      "worker_id, worker_name) VALUES (" +
      id +
      ", 1, 'signalled', 'died in wash()', 11, E'first line\\nlast line', 1.5, 0.25, 12582912, 7, "
      "'host/kitchen/3')");

  const ProgramRun text = run({"jobs", "show", id});
  EXPECT_EQ(text.exit_status, kDone) << text.errors;
  EXPECT_THAT(text.output,
              AllOf(HasSubstr("job " + id + ": wash, failed"), HasSubstr("deferred"), HasSubstr("started"),
                    HasSubstr("1  signalled, signal 11 (Segmentation fault)"), HasSubstr("died in wash()"),
                    HasSubstr("| first line\n"), HasSubstr("| last line\n"),
                    ContainsRegex("after 1.5 s, CPU 250 ms, memory 12.0 MiB, by host/kitchen/3")));

  const auto job = json({"jobs", "show", id});
  EXPECT_EQ(job["events"].size(), 3);
  EXPECT_EQ(job["events"][0]["type"], "deferred");
  const auto& attempt = job["history"][0];
  EXPECT_EQ(attempt["attempt"], 1);
  EXPECT_EQ(attempt["cause"], "signalled");
  EXPECT_EQ(attempt["signal"], 11);
  EXPECT_EQ(attempt["exit_status"], nullptr);
  EXPECT_EQ(attempt["stderr_tail"], "first line\nlast line");
  EXPECT_EQ(attempt["max_rss_bytes"], 12582912);
}

TEST_F(Cli, ShowOfAJobThatIsNotThereFails) {
  const ProgramRun result = run({"jobs", "show", "4711"});
  EXPECT_EQ(result.exit_status, kNotDone);
  EXPECT_EQ(result.errors, "postpone: there is no job 4711\n");
}

TEST_F(Cli, CancelTellsWhatBecameOfEachJob) {
  const std::string waiting = defer({"wash"});
  const std::string running = defer({"wash"});
  sql("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = " + running);

  const ProgramRun result = run({"jobs", "cancel", waiting, running, "4711"});
  EXPECT_EQ(result.exit_status, kNotDone);
  EXPECT_EQ(result.output, "job " + waiting + " cancelled\n");
  EXPECT_THAT(result.errors,
              AllOf(HasSubstr("job " + running + " is running; --abort"), HasSubstr("there is no job 4711")));

  const auto aborted = json({"jobs", "cancel", running, "--abort"});
  EXPECT_EQ(aborted["jobs"][0]["result"], "abort_requested");
  const auto ended = json({"jobs", "cancel", waiting});
  EXPECT_EQ(ended["jobs"][0]["result"], "cancelled");
  EXPECT_THAT(ended["jobs"][0]["problem"].get<std::string>(), HasSubstr("has ended (cancelled)"));
}

TEST_F(Cli, CancelByFilterTakesOnlyJobsThatWait) {
  defer({"wash", "--queue", "kitchen"});
  defer({"wash", "--queue", "kitchen"});
  const std::string other = defer({"wash", "--queue", "bath"});
  EXPECT_EQ(json({"jobs", "cancel", "--queue", "kitchen"})["jobs"].size(), 2);
  EXPECT_EQ(run({"jobs", "cancel", "--queue", "kitchen"}).output, "no such jobs\n");
  EXPECT_EQ(sql("SELECT id FROM procrastinate_jobs WHERE status = 'todo'"), other);
}

TEST_F(Cli, CancelWithDeleteLeavesNothing) {
  const std::string id = defer({"wash"});
  EXPECT_EQ(run({"jobs", "cancel", id, "--delete"}).output, "job " + id + " deleted\n");
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_jobs"), "0");
}

TEST_F(Cli, RetryLetsAFailedJobWaitAgainElsewhere) {
  const std::string id = defer({"wash"});
  sql("UPDATE procrastinate_jobs SET status = 'doing'");
  sql("UPDATE procrastinate_jobs SET status = 'failed', attempts = 1");
  const ProgramRun result = run({"jobs", "retry", id, "--new-queue", "slow", "--new-priority", "3",
                                 "--new-lock", "sink", "--at", "2030-01-01T00:00Z"});
  EXPECT_EQ(result.exit_status, kDone) << result.errors;
  EXPECT_EQ(result.output, "job " + id + " retried\n");
  const auto job = json({"jobs", "show", id});
  EXPECT_EQ(job["status"], "todo");
  EXPECT_EQ(job["queue"], "slow");
  EXPECT_EQ(job["priority"], 3);
  EXPECT_EQ(job["lock"], "sink");
  EXPECT_EQ(job["scheduled_at"], "2030-01-01T00:00:00.000000Z");
}

TEST_F(Cli, RetryInCountsFromTheDatabasesClock) {
  const std::string id = defer({"wash"});
  sql("UPDATE procrastinate_jobs SET status = 'doing'");
  sql("UPDATE procrastinate_jobs SET status = 'failed'");
  EXPECT_EQ(run({"jobs", "retry", id, "--in", "36525d"}).exit_status, kDone);
  EXPECT_EQ(sql("SELECT scheduled_at - now() BETWEEN '36524 days' AND '36525 days' FROM procrastinate_jobs"),
            "t");
}

TEST_F(Cli, RetryTellsWhyAJobCannotBeRetried) {
  const std::string waiting = defer({"wash"});
  const std::string running = defer({"wash"});
  sql("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = " + running);
  const ProgramRun result = run({"jobs", "retry", waiting, running, "4711"});
  EXPECT_EQ(result.exit_status, kNotDone);
  EXPECT_THAT(result.errors,
              AllOf(HasSubstr("job " + waiting + " waits already"),
                    HasSubstr("job " + running + " is running"), HasSubstr("there is no job 4711")));
  EXPECT_EQ(run({"jobs", "retry", running, "--even-running"}).exit_status, kDone);
}

TEST_F(Cli, RetryYieldsToAJobThatWaitsWithTheSameQueueingLock) {
  const std::string failed = defer({"wash", "--queueing-lock", "plate"});
  sql("UPDATE procrastinate_jobs SET status = 'doing'");
  sql("UPDATE procrastinate_jobs SET status = 'failed'");
  const std::string waiting = defer({"wash", "--queueing-lock", "plate"});
  const ProgramRun result = run({"jobs", "retry", "--status", "failed"});
  EXPECT_EQ(result.exit_status, kNotDone);
  EXPECT_THAT(result.errors, AllOf(IsOneLine(), HasSubstr("job " + waiting)));
  EXPECT_EQ(sql("SELECT status FROM procrastinate_jobs WHERE id = " + failed), "failed");
}

// --- config ---

class CliConfig : public testing::Test {
 protected:
  ~CliConfig() override { std::remove(path_.c_str()); }
  const std::string& write(const std::string& text) {
    std::ofstream(path_) << text;
    return path_;
  }

 private:
  std::string path_ = testing::TempDir() + "postpone-cli-" +
                      std::to_string(testing::UnitTest::GetInstance()->random_seed()) +
                      testing::UnitTest::GetInstance()->current_test_info()->name() + ".toml";
};

TEST_F(CliConfig, EveryProblemIsReportedWithItsPlace) {
  const std::string& path =
      write("[[group]]\nname = \"kitchen\"\nexecutable = \"/bin/true\"\ncoutn = 2\nqueues = 7\n");
  const ProgramRun run = postpone_without_database({"config", "check", path});
  EXPECT_EQ(run.exit_status, kConfiguration);
  EXPECT_THAT(run.errors, AllOf(HasSubstr(path + ":4:1: "), HasSubstr("count"), HasSubstr(path + ":5:")));
}

TEST_F(CliConfig, ACorrectFileIsSummedUp) {
  const std::string& path = write(
      "[[group]]\nname = \"kitchen\"\nexecutable = \"/bin/true\"\ncount = 2\nqueues = [\"a\", \"b\"]\n");
  const ProgramRun run = postpone_without_database({"config", "check", path});
  EXPECT_EQ(run.exit_status, kDone) << run.errors;
  EXPECT_EQ(run.output, path + ": correct\n  kitchen: 2 sub-workers, queues a, b, /bin/true\n");
}

TEST_F(CliConfig, WhatTheLineSaysGoesBeforeTheEnvironment) {
  const TestDatabase database;
  const std::string& path = write("[database]\nurl = \"\"\"" + database.url() +
                                  "\"\"\"\n[[group]]\nname = \"kitchen\"\nexecutable = \"/bin/true\"\n");
  const ProgramRun by_file = postpone_without_database({"--config", path, "defer", "wash"});
  EXPECT_EQ(by_file.exit_status, kDone) << by_file.errors;
  const ProgramRun in_spite_of_the_environment = postpone(
      {"--config", path, "defer", "wash"}, {.environment = {{"POSTPONE_DATABASE_URL", "host=/nonexistent"}}});
  EXPECT_EQ(in_spite_of_the_environment.exit_status, kDone) << in_spite_of_the_environment.errors;
  const ProgramRun by_option = postpone({"defer", "wash", "--database-url", database.url()},
                                        {.environment = {{"POSTPONE_DATABASE_URL", "host=/nonexistent"}}});
  EXPECT_EQ(by_option.exit_status, kDone) << by_option.errors;
}

TEST_F(CliConfig, AFileWithoutADatabaseLeavesItToTheEnvironment) {
  const TestDatabase database;
  const std::string& path = write("[[group]]\nname = \"kitchen\"\nexecutable = \"/bin/true\"\n");
  const ProgramRun result = postpone({"--config", path, "schema", "check"},
                                     {.environment = {{"POSTPONE_DATABASE_URL", database.url()}}});
  EXPECT_EQ(result.exit_status, kDone) << result.errors;
  EXPECT_THAT(result.output, HasSubstr("database   " + database.name() + " on host ")) << "which it was";
}

TEST_F(CliConfig, AWrongFileIsNotUsed) {
  const std::string& path = write("[database]\nurl = 7\n");
  const ProgramRun run = postpone_without_database({"--config", path, "jobs", "list"});
  EXPECT_EQ(run.exit_status, kConfiguration);
  EXPECT_THAT(run.errors, AllOf(IsOneLine(), HasSubstr(path + ":")));
}

}  // namespace
}  // namespace postpone::tests
