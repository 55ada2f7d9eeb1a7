// `postpone defer`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/integration/cli_fixture.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

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

TEST_F(Cli, AWaitingJobIsKeptOrReplaced) {
  const std::vector<std::string> again{"wash", R"({"n": 2})", "--queueing-lock", "plate", "--on-conflict"};
  const auto with = [&](const std::string& choice, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = again;
    arguments.push_back(choice);
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  const std::string first = defer({"wash", R"({"n": 1})", "--queueing-lock", "plate"});
  EXPECT_EQ(defer(with("keep")), first);
  EXPECT_EQ(sql("SELECT args->>'n' FROM procrastinate_jobs"), "1");
  EXPECT_EQ(defer(with("replace", {"--meta", R"({"who": "ann"})"})), first);
  EXPECT_EQ(sql("SELECT (args->>'n') || meta FROM procrastinate_jobs"), R"(2{"who": "ann"})");

  std::vector<std::string> both = with("keep", {"--ignore-already-enqueued"});
  both.insert(both.begin(), "defer");
  const ProgramRun twice = run(both);
  EXPECT_EQ(twice.exit_status, kUsage);
  EXPECT_THAT(twice.errors, HasSubstr("leave one of them out"));
}

TEST_F(Cli, LinesSayForThemselvesWhatBecomesOfAWaitingJob) {
  defer({"wash", R"({"n": 1})", "--queueing-lock", "a"});
  const ProgramRun many =
      run({"defer", "--stdin", "--on-conflict", "keep", "--print-ids"},
          R"({"task": "wash", "queueing_lock": "a", "on_conflict": "replace", "args": {"n": 2}})"
          "\n"
          R"({"task": "wash", "queueing_lock": "b", "args": {"n": 3}, "meta": {"x": 1}})"
          "\n"
          R"({"task": "wash", "queueing_lock": "b", "args": {"n": 4}})"
          "\n");
  ASSERT_EQ(many.exit_status, kDone) << many.errors;
  EXPECT_EQ(sql("SELECT string_agg(queueing_lock || (args->>'n') || coalesce(meta->>'x', ''), ' ' ORDER BY "
                "id) FROM "
                "procrastinate_jobs"),
            "a2 b31");
  const ProgramRun refused = run({"defer", "--stdin"}, "{\"task\": \"wash\", \"queueing_lock\": \"b\"}\n");
  EXPECT_EQ(refused.exit_status, kNotDone);
  EXPECT_THAT(refused.errors, HasSubstr("line 1"));
}

TEST_F(Cli, AJobThatCannotReplaceTheWaitingOneIsToldWhy) {
  run({"defer", "a", "--queueing-lock", "q"});
  const auto refused = run({"defer", "b", "--queueing-lock", "q", "--on-conflict", "replace"});
  EXPECT_EQ(refused.exit_status, 1);
  EXPECT_THAT(refused.errors,
              AllOf(HasSubstr("a job of b cannot replace it"), Not(HasSubstr("--ignore-already"))));
  const auto line =
      run({"defer", "--stdin"}, R"({"task": "b", "queueing_lock": "q", "on_conflict": "replace"})");
  EXPECT_THAT(line.errors, AllOf(HasSubstr("line 1"), HasSubstr("a job of b cannot replace it")));
}

TEST_F(Cli, TheLineThatIsRefusedIsOneThatMayBe) {
  run({"defer", "a", "--queueing-lock", "q"});
  const auto refused = run({"defer", "--stdin"},
                           "{\"task\": \"a\", \"queueing_lock\": \"q\"}\n"
                           "{\"task\": \"a\", \"queueing_lock\": \"q\", \"on_conflict\": \"keep\"}\n");
  EXPECT_THAT(refused.errors, HasSubstr("line 1,"));
}

TEST_F(Cli, WithoutAQueueingLockNoJobMeetsAnother) {
  EXPECT_THAT(run({"defer", "a", "--on-conflict", "keep"}).errors, HasSubstr("needs a --queueing-lock"));
  EXPECT_THAT(run({"defer", "--stdin"}, R"({"task": "a", "on_conflict": "keep"})").errors,
              HasSubstr("needs a \"queueing_lock\""));
}

TEST_F(Cli, MetaIsCheckedBeforeItIsSent) {
  const ProgramRun result = run({"defer", "wash", "--meta", "[1]"});
  EXPECT_EQ(result.exit_status, kUsage);
  EXPECT_THAT(result.errors,
              AllOf(IsOneLine(), HasSubstr("--meta: at line 1, column 1: a JSON object is needed")));
}

TEST_F(Cli, WhatTheDatabaseRefusesIsOneLine) {
  const ProgramRun result = run({"defer", "wash", "--queue", std::string(200, 'q')});
  EXPECT_EQ(result.exit_status, kNotDone);
  EXPECT_THAT(result.errors, IsOneLine());
}

}  // namespace
}  // namespace postpone::tests
