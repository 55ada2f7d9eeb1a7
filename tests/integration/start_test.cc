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

}  // namespace
}  // namespace postpone::tests
