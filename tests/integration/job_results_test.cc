// Results, progress and meta, end to end: real task processes, and all places where people find what these say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/cli.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/job_story.h"

namespace postpone::tests {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

const std::string kTestTasks = POSTPONE_TEST_TASKS;
constexpr const char* kTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

class JobResults : public DatabaseStory {
 protected:
  std::string config(const std::string& more = "") const {
    return "[supervisor]\npolling_interval = \"1h\"\n[status]\nsocket = \"" + files_.file("status.sock") +
           "\"\n" + group("m", kTestTasks, 1, more);
  }
  // With what the application knows of who asked for it.
  std::string defer_with_meta(const std::string& task, const std::string& args) const {
    return sql("INSERT INTO procrastinate_jobs (queue_name, task_name, args, meta) VALUES ('m', '" + task +
               "', '" + args + "', '{\"tenant\": \"ann\", \"traceparent\": \"" + std::string(kTrace) +
               "\"}') RETURNING id");
  }
  std::string shown(const std::string& id, const std::string& columns) const {
    return sql("SELECT concat_ws('|', " + columns + ") FROM postpone_jobs WHERE id = " + id);
  }
  std::string said_by_postpone(std::vector<std::string> arguments) const {
    const ProgramRun run =
        postpone(std::move(arguments), {.environment = {{"POSTPONE_DATABASE_URL", database_.url()}}});
    EXPECT_EQ(run.exit_status, 0) << run.errors;
    return run.output;
  }
  nlohmann::json json_of_postpone(std::vector<std::string> arguments) const {
    return nlohmann::json::parse(said_by_postpone(std::move(arguments)));
  }
  void touch(const std::string& name) const { std::fclose(std::fopen(files_.file(name).c_str(), "w")); }
};

TEST_F(JobResults, AreSeenWhileAndAfterTheJobRuns) {
  Family family(database_.url(), config());
  family.wait_until_ready(1);
  const auto id = defer_with_meta("test.give", file_argument("go"));
  EXPECT_TRUE(eventually([&] { return shown(id, "progress") == "1 of 2: half way"; })) << family.log();
  EXPECT_EQ(shown(id, "status, result"), "doing");
  const auto status = json_of_postpone({"status", "--socket", files_.file("status.sock"), "--json"});
  EXPECT_THAT(status.dump(), HasSubstr("\"note\":\"half way\""));
  EXPECT_EQ(json_of_postpone({"jobs", "show", id, "--json"})["progress"]["note"], "half way");

  touch("go");
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(shown(id, "progress, result ->> 'attempt', result -> 'meta' ->> 'tenant'"), "2 of 2: done|1|ann");
  const auto job = json_of_postpone({"jobs", "show", id, "--json"});
  EXPECT_EQ(job["result"]["meta"]["traceparent"], kTrace);
  EXPECT_EQ(job["meta"]["tenant"], "ann");
  const std::string text = said_by_postpone({"jobs", "show", id});
  EXPECT_THAT(text, ContainsRegex("\n  progress        2 of 2: done, at 20"));
  EXPECT_THAT(text, ContainsRegex("\n  result          .\"meta\": "));
  EXPECT_THAT(text, ContainsRegex("\n  meta            .\"tenant\": \"ann\""));
}

TEST_F(JobResults, FollowersInheritMetaAndTheLogNamesTheTrace) {
  Family family(database_.url(), config());
  family.wait_until_ready(1);
  touch("go");
  const auto id = defer_with_meta("test.give", file_argument("go"));
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(sql("SELECT string_agg(concat_ws(' ', meta ->> 'tenant', meta ->> 'traceparent'), ', ' ORDER BY "
                "id) FROM "
                "procrastinate_jobs WHERE queue_name = 'followers'"),
            "ann " + std::string(kTrace) + ", bob");
  EXPECT_THAT(family.log(), HasSubstr("job " + id + " test.give traceparent=" + kTrace + ": succeeded in "));
}

// A short job tells its progress with its outcome alone, and one that gives nothing leaves nothing.
TEST_F(JobResults, CostAShortJobNothingButItsOutcome) {
  Family family(database_.url(), config());
  family.wait_until_ready(1);
  touch("go");
  const auto giver = defer("test.give", "m", file_argument("go"));
  const auto other = defer("test.tick", "m");
  EXPECT_TRUE(becomes(giver, "succeeded")) << family.log();
  EXPECT_TRUE(becomes(other, "succeeded")) << family.log();
  EXPECT_EQ(shown(giver, "progress"), "2 of 2: done");
  EXPECT_EQ(sql("SELECT string_agg(job_id::text, ' ') FROM postpone_results"), giver);
  EXPECT_EQ(shown(giver, "result -> 'meta'"), "{}");
}

TEST_F(JobResults, ThatAreTooLargeFailTheirJobAndSaySo) {
  Family family(database_.url(), config());
  family.wait_until_ready(1);
  const auto id = defer("test.give_too_much", "m");
  EXPECT_TRUE(becomes(id, "failed")) << family.log();
  EXPECT_THAT(shown(id, "cause, message"),
              HasSubstr("exception|the result of job " + id + " has 1048578 bytes, more than the 1 MiB"));
}

// The database's rules count, too; and they cost this job alone.
TEST_F(JobResults, ThatTheDatabaseRefusesFailTheirJob) {
  sql("ALTER TABLE postpone_results ADD CONSTRAINT no_tenants CHECK (result -> 'meta' ->> 'tenant' <> "
      "'ann')");
  Family family(database_.url(), config());
  family.wait_until_ready(1);
  touch("go");
  const auto refused = defer_with_meta("test.give", file_argument("go"));
  const auto other = defer("test.give", "m", file_argument("go"));
  EXPECT_TRUE(becomes(refused, "failed")) << family.log();
  EXPECT_TRUE(becomes(other, "succeeded")) << family.log();
  EXPECT_THAT(shown(refused, "message"),
              ContainsRegex("the database refused what the job asked for: .*no_tenants"));
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_jobs WHERE queue_name = 'followers'"), "2")
      << "of the other one";
}

}  // namespace
}  // namespace postpone::tests
