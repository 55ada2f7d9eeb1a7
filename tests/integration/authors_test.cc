// What authors of tasks ask for beyond a handler: through a real supervisor, its sub-workers and a task executable.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/database.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/job_story.h"

namespace postpone::tests {
namespace {

using testing::HasSubstr;

const std::string kTestTasks = POSTPONE_TEST_TASKS;
const std::string kMisbehave = POSTPONE_EXAMPLES_DIR "/misbehave";
const std::string kJson = "[log]\nformat = \"json\"\n";

class Authors : public DatabaseStory {
 protected:
  // What its budget makes of a job now: attempts that count, and those in a row that its program did not fit.
  std::string budget(const std::string& id) const {
    return sql(
        "SELECT attempts - uncounted || '/' || misfits FROM procrastinate_jobs job,"
        " postpone_retry_budget(job.id) WHERE job.id = " +
        id);
  }
  bool has_attempts(const std::string& id, int attempts) const {
    return eventually([&] {
      return sql("SELECT status::text || attempts FROM procrastinate_jobs WHERE id = " + id) ==
             "todo" + std::to_string(attempts);
    });
  }
  // Its wait is over.
  void hurry(const std::string& id) const {
    sql("UPDATE procrastinate_jobs SET scheduled_at = now() WHERE id = " + id);
  }
  std::string lines_of(const std::string& name) const {
    std::stringstream text;
    text << std::ifstream(files_.file(name)).rdbuf();
    return text.str();
  }
  // Of a JSON log: what the handler of this job has logged.
  static std::vector<nlohmann::json> lines_of_handler(const Family& family, const std::string& id) {
    std::vector<nlohmann::json> lines;
    std::istringstream log(family.log());
    for (std::string line; std::getline(log, line);) {
      const auto object = nlohmann::json::parse(line, nullptr, false);
      if (object.is_object() && object.value("job", 0) == std::stoi(id) && object.at("component") == "task")
        lines.push_back(object);
    }
    return lines;
  }
};

TEST_F(Authors, ALineOfAHandlerStandsInTheLogWithItsJobAndFields) {
  Family family(database_.url(), kJson + group("t", kTestTasks, 1));
  const auto id = defer("test.log", "t");
  ASSERT_TRUE(becomes(id, "succeeded")) << family.log();
  const auto lines = lines_of_handler(family, id);
  ASSERT_EQ(lines.size(), 2U) << family.log();
  EXPECT_EQ(lines[0].at("message"), "half way");
  EXPECT_EQ(lines[0].at("level"), "warning");
  EXPECT_EQ(lines[0].at("task"), "test.log");
  EXPECT_EQ(lines[0].at("attempt"), 1);
  EXPECT_EQ(lines[0].at("fields"), nlohmann::json::parse(R"({"done": 5, "of": {"plates": 10}})"));
  EXPECT_EQ(lines[1].at("level"), "debug");
  EXPECT_FALSE(lines[1].contains("fields"));
}

TEST_F(Authors, ManyJobsThatLogRunAsSetsAndEachLineNamesItsJob) {
  Family family(database_.url(), kJson + group("t", kTestTasks, 1));
  sql("SELECT count(postpone_defer(CASE i % 3 WHEN 0 THEN 'test.log' ELSE 'test.was_set_up' END, queue => "
      "'t')) FROM generate_series(1, 60) i");
  ASSERT_TRUE(eventually([&] { return count("succeeded") == "60"; })) << family.log();
  std::istringstream ids(
      sql("SELECT string_agg(id::text, ' ') FROM procrastinate_jobs WHERE task_name = 'test.log'"));
  for (std::string id; ids >> id;) EXPECT_EQ(lines_of_handler(family, id).size(), 2U) << id;
}

TEST_F(Authors, AnAbortWakesAHandlerThatSleepsOnItsStopToken) {
  Family family(database_.url(), group("t", kTestTasks, 1, "abort_grace = \"1h\""));
  family.wait_until_ready(1);
  const auto id = defer("test.wait_for_a_stop", "t", file_argument("stop"));
  ASSERT_TRUE(eventually([&] { return lines_of("stop") == "waits"; })) << family.log();
  sql("SELECT procrastinate_cancel_job_v1(" + id + ", true, false)");
  EXPECT_TRUE(becomes(id, "aborted")) << family.log();
  EXPECT_EQ(lines_of("stop.told"), "stop");
}

TEST_F(Authors, SetUpAliasesAndMiddlewareDoWhatTheySay) {
  Family family(database_.url(), group("t", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto set_up = defer("test.was_set_up", "t");
  const auto renamed = defer("test.old_name", "t");
  const auto forgiven = defer("test.forgiving.throws", "t");
  for (const auto& id : {set_up, renamed, forgiven}) EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(family.stop().code, 0);
  EXPECT_THAT(family.log(), HasSubstr("as test.old_name"));
  EXPECT_THAT(family.log(), HasSubstr("forgiven: of no account"));
  EXPECT_THAT(family.log(), HasSubstr("torn down")) << "the process was let go";
}

TEST_F(Authors, AJobThatWantsAProcessForItselfSharesItWithNone) {
  Family family(database_.url(), group("t", kTestTasks, 1));
  family.wait_until_ready(1);
  for (int i = 0; i < 3; ++i) {
    defer("test.alone", "t", file_argument("pids"));
    defer("test.append", "t", R"({"file": ")" + files_.file("others") + R"(", "text": "x"})");
  }
  ASSERT_TRUE(eventually([&] { return count("succeeded") == "6"; })) << family.log();
  std::istringstream pids(lines_of("pids"));
  std::set<std::string> different;
  for (std::string pid; pids >> pid;) different.insert(pid);
  EXPECT_EQ(different.size(), 3U);
}

TEST_F(Authors, AMemoryLimitOfATaskHoldsWhereTheGroupHasNone) {
  Family family(database_.url(), group("t", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto id = defer("test.grows", "t", R"({"mib": 100})");
  EXPECT_TRUE(becomes(id, "failed")) << family.log();
  EXPECT_EQ(causes(id), "memory_limit");
}

TEST_F(Authors, ARetryThatAHandlerAsksForCountsUnlessItSaysOtherwise) {
  Family family(database_.url(), group("t", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto counted = defer("test.busy", "t", R"({"counts": true})");
  EXPECT_TRUE(becomes(counted, "failed")) << family.log();
  EXPECT_EQ(causes(counted), "exception exception exception");
  EXPECT_EQ(sql("SELECT priority FROM procrastinate_jobs WHERE id = " + counted), "3");
  EXPECT_EQ(sql("SELECT message FROM postpone_attempts WHERE attempt = 3 AND job_id = " + counted),
            "busy; no attempt is left");
  const auto uncounted = defer("test.busy", "t", R"({"counts": false})");
  EXPECT_TRUE(becomes(uncounted, "succeeded")) << family.log();
  EXPECT_EQ(budget(uncounted), "1/0");
}

TEST_F(Authors, ARetryByAPersonGivesAFreshBudgetAndAsManyAttemptsAsAreAskedFor) {
  Family family(database_.url(), group("t", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto id = defer("test.hopeless", "t");  // max_attempts 2
  const auto attempts = [&] { return sql("SELECT count(*) FROM postpone_attempts WHERE job_id = " + id); };
  ASSERT_TRUE(becomes(id, "failed")) << family.log();
  EXPECT_EQ(attempts(), "3");
  sql("SELECT postpone_retry_job(" + id + ")");
  ASSERT_TRUE(becomes(id, "failed")) << family.log();
  EXPECT_EQ(attempts(), "6") << "as many as a new job has";
  sql("SELECT postpone_retry_job(" + id + ", p_attempts => 2)");
  ASSERT_TRUE(becomes(id, "failed")) << family.log();
  EXPECT_EQ(attempts(), "8");
}

// A rolling deploy: the job is there before the program that has its task.
TEST_F(Authors, AJobWhoseTaskIsNotThereYetWaitsAFewTimesAndHasItsWholeBudgetThen) {
  Family family(database_.url(), group("t", kTestTasks, 1) + group("m", kMisbehave, 1));
  family.wait_until_ready(2);
  const auto id = defer("test.hopeless", "m");
  ASSERT_TRUE(has_attempts(id, 1)) << family.log();
  EXPECT_EQ(causes(id), "unknown_task");
  EXPECT_EQ(
      sql("SELECT scheduled_at - now() BETWEEN '1 s' AND '13 s' FROM procrastinate_jobs WHERE id = " + id),
      "t");
  hurry(id);
  ASSERT_TRUE(has_attempts(id, 2)) << family.log();
  EXPECT_EQ(budget(id), "0/2");
  sql("UPDATE procrastinate_jobs SET queue_name = 't', scheduled_at = now() WHERE id = " + id);
  ASSERT_TRUE(becomes(id, "failed")) << family.log();
  EXPECT_EQ(causes(id), "unknown_task unknown_task exception exception exception");
}

TEST_F(Authors, AJobThatItsProgramNeverFitsHasFailedAfterAFewTries) {
  Family family(database_.url(), group("t", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto id = defer("test.append", "t", R"({"fiel": "x"})");
  for (int attempt = 1; attempt <= 5; ++attempt) {
    ASSERT_TRUE(has_attempts(id, attempt)) << family.log();
    hurry(id);
  }
  EXPECT_TRUE(becomes(id, "failed")) << family.log();
  EXPECT_EQ(causes(id),
            "bad_arguments bad_arguments bad_arguments bad_arguments bad_arguments bad_arguments");
  sql("SELECT postpone_retry_job(" + id + ")");
  EXPECT_TRUE(has_attempts(id, 8)) << "a person's retry begins anew: " << family.log();
}

TEST_F(Authors, AGroupThatLeavesUnknownTasksLeavesThemAsTheyAre) {
  Family family(database_.url(), "[[group]]\nname = \"m\"\nexecutable = \"" + kMisbehave +
                                     "\"\nqueues = [\"shared\"]\nunknown_task = \"leave\"\n");
  family.wait_until_ready(1);
  const auto left =
      defer("test.append", "shared", R"({"file": ")" + files_.file("done") + R"(", "text": "x"})");
  const auto other = defer("misbehave.noop", "shared");
  EXPECT_TRUE(becomes(other, "succeeded")) << family.log();
  EXPECT_EQ(sql("SELECT status::text || attempts FROM procrastinate_jobs WHERE id = " + left), "todo0");
  EXPECT_THAT(family.log(), HasSubstr("jobs of this task are left to other workers"));

  Family has_it(database_.url(), "[supervisor]\nname = \"other\"\n[[group]]\nname = \"t\"\nexecutable = \"" +
                                     kTestTasks + "\"\nqueues = [\"shared\"]\n");
  has_it.wait_until_ready(1);
  EXPECT_TRUE(becomes(left, "succeeded")) << has_it.log();
  EXPECT_EQ(causes(left), "succeeded");
}

}  // namespace
}  // namespace postpone::tests
