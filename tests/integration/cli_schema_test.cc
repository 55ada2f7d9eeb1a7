// `postpone schema`, and what other commands say where there is none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/cli_fixture.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

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

}  // namespace
}  // namespace postpone::tests
