// `postpone jobs list`, `count` and `show`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/integration/cli_fixture.h"
#include "tests/support/eventually.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

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

}  // namespace
}  // namespace postpone::tests
