// `postpone healthcheck` as a container's runtime sees it.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/database.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::StartsWith;

// Exit codes, as docs/cli.md promises them.
enum { kHealthy = 0, kUsage = 2, kConfiguration = 3, kUnreachable = 4, kSchema = 5 };

ProgramRun healthcheck(const std::string& url, std::vector<std::string> more = {}) {
  more.insert(more.begin(), {POSTPONE_CLI, "healthcheck"});
  return run_program(more, {.environment = {{"POSTPONE_DATABASE_URL", url}}});
}

TEST(CliHealthcheck, OneLineTellsThatAllIsWell) {
  const TestDatabase database;
  const ProgramRun result = healthcheck(database.url());
  EXPECT_EQ(result.exit_status, kHealthy) << result.errors;
  EXPECT_THAT(result.output,
              ContainsRegex("^healthy: the database answers .PostgreSQL [0-9.]+.*current.*\n$"));
  EXPECT_EQ(result.errors, "");
}

TEST(CliHealthcheck, ADatabaseWithoutTheSchemaIsNot) {
  const TestDatabase database(Schema::none);
  const ProgramRun result = healthcheck(database.url());
  EXPECT_EQ(result.exit_status, kSchema);
  EXPECT_EQ(result.output, "");
  EXPECT_THAT(result.errors, HasSubstr("postpone schema apply"));
}

TEST(CliHealthcheck, NorIsOneThatCannotBeReachedOrUnderstood) {
  EXPECT_EQ(healthcheck("host=/nonexistent").exit_status, kUnreachable);
  EXPECT_EQ(healthcheck("nonsense=1").exit_status, kConfiguration);
  EXPECT_EQ(healthcheck("host=/nonexistent", {"--timeout", "0s"}).exit_status, kUsage);
}

// A pipe gives its text once, and the database and the socket both stand in it.
TEST(CliHealthcheck, TheConfigurationMayBeAPipe) {
  const TestDatabase database;
  const std::string config = "[database]\nurl = \"" + database.url() +
                             "\"\n[[group]]\nname = \"kitchen\"\nexecutable = \"/bin/true\"\n";
  const ProgramRun result = run_program(
      {"bash", "-c", "printf %s \"$1\" | " POSTPONE_CLI " healthcheck --config /dev/stdin", "bash", config});
  EXPECT_EQ(result.exit_status, kHealthy) << result.errors;
  EXPECT_THAT(result.output, StartsWith("healthy: the database answers"));
}

// A host that takes every connection and never says a word.
TEST(CliHealthcheck, ASilentServerIsGivenUpAfterTheTimeout) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener, 8), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string url = "host=127.0.0.1 port=" + std::to_string(ntohs(address.sin_port));
  const ProgramRun result = healthcheck(url, {"--timeout", "300ms"});
  close(listener);
  EXPECT_EQ(result.exit_status, kUnreachable);
  EXPECT_THAT(result.errors, StartsWith("postpone: "));
}

}  // namespace
}  // namespace postpone::tests
