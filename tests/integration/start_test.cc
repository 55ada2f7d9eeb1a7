// What keeps a supervisor from starting: nothing is started half-way, and one clear line says why.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "tests/support/database.h"
#include "tests/support/family.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using testing::HasSubstr;

const std::string kMisbehave = POSTPONE_EXAMPLES_DIR "/misbehave";

class Start : public testing::Test {
 protected:
  // Runs the supervisor to its end.
  ProgramRun run(const std::string& config, const TestDatabase& database) {
    const std::string path = files_.file("bad.toml");
    std::FILE* file = std::fopen(path.c_str(), "w");
    std::fputs(config.c_str(), file);
    std::fclose(file);
    return run_program({POSTPONE_SUPERVISOR, "--config", path},
                       {.environment = {{"POSTPONE_DATABASE_URL", database.url()}}});
  }
  TemporaryDirectory files_;
};

TEST_F(Start, WithoutASchemaItSaysWhichCommandToRun) {
  const TestDatabase empty(Schema::none);
  const auto ended = run(group("q", kMisbehave, 2), empty);
  EXPECT_EQ(ended.exit_status, 5);
  EXPECT_THAT(ended.errors, HasSubstr("postpone schema apply"));
}

TEST_F(Start, AProgramThatIsNoTaskExecutableIsNamed) {
  const TestDatabase database;
  const auto ended = run(group("q", "/bin/true", 2), database);
  EXPECT_EQ(ended.exit_status, 3);
  EXPECT_THAT(ended.errors, HasSubstr("/bin/true"));
}

TEST_F(Start, EveryMistakeInTheConfigurationIsReportedWithItsPlace) {
  const TestDatabase database;
  const auto ended = run(group("q", kMisbehave, 2, "coutn = 3") + group("q", "/no/such/file", 1), database);
  EXPECT_EQ(ended.exit_status, 3);
  EXPECT_THAT(ended.errors, HasSubstr("bad.toml:6:1: "));
  EXPECT_THAT(ended.errors, HasSubstr("/no/such/file"));
}

// Whatever is closed: the sub-worker's log went into its end of the channel, and the job that printed a line
// was lost.
TEST_F(Start, AStandardDescriptorThatIsClosedTakesNothingIn) {
  const TestDatabase database;
  const std::string path = files_.file("kitchen.toml");
  std::FILE* file = std::fopen(path.c_str(), "w");
  std::fputs(group("m", kMisbehave, 1).c_str(), file);
  std::fclose(file);
  for (const char* closed : {"2>&-", ">&- 2>&-", "<&- >&- 2>&-"}) {
    const std::string id =
        database.execute(R"(SELECT postpone_defer('misbehave.wait', queue => 'm', args => '{"ms": 100}'))");
    const ProgramRun run = run_program(
        {"bash", "-c",
         "exec " POSTPONE_SUPERVISOR " --one-shot --log-level debug --config " + path + " " + closed},
        {.environment = {{"POSTPONE_DATABASE_URL", database.url()}}});
    EXPECT_EQ(run.exit_status, 0) << closed;
    EXPECT_EQ(database.execute("SELECT status FROM procrastinate_jobs WHERE id = " + id), "succeeded")
        << closed;
  }
}

TEST_F(Start, WhatIsWrongWithTheCommandLineSaysWhoSaysSo) {
  const ProgramRun run = run_program({POSTPONE_SUPERVISOR, "x.toml"});
  EXPECT_EQ(run.exit_status, 2);
  EXPECT_THAT(run.errors, testing::StartsWith("postpone-supervisor: "));
  EXPECT_EQ(run_program({POSTPONE_SUPERVISOR, "--config", ""}).exit_status, 2);
  const ProgramRun help = run_program({"bash", "-c", POSTPONE_SUPERVISOR " --help > /dev/full"});
  EXPECT_EQ(help.exit_status, 1);
  EXPECT_THAT(help.errors, HasSubstr("cannot write to standard output"));
}

}  // namespace
}  // namespace postpone::tests
