// What `postpone` says of a line that is wrong, and of a server that is not there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/cli_fixture.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

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

}  // namespace
}  // namespace postpone::tests
