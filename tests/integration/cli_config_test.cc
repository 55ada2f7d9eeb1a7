// `postpone config check`, and where commands take the database from.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "tests/integration/cli_fixture.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;

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
