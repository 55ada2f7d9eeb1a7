// What happens when the database is gone, slow, full or somewhere else: no job is lost, none is recorded
// twice.
#include <chrono>
#include <string>
#include <thread>

#include "tests/faults/faults.h"
#include "tests/support/private_server.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using namespace std::chrono_literals;

TEST(Outage, ATaskIsKilledBeforeAnotherHostMayTakeItsJob) {
  PrivateServer server;
  const TemporaryDirectory files;
  const std::vector<std::pair<std::string, std::string>> environment = {
      {"POSTPONE_DATABASE_URL", server.url()}};
  const auto postpone = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), POSTPONE_CLI);
    return run_program(arguments, {.environment = environment}).output;
  };
  postpone({"schema", "apply"});
  Family family(server.url(), supervisor_keys(kShortSilence) + group("q", kTestTasks, 1));
  family.wait_until_ready(1);
  postpone({"defer", "test.until", R"({"file": ")" + files.file("go") + R"("})", "--queue", "q"});
  ASSERT_TRUE(eventually([&] { return postpone({"jobs", "list"}).find("doing") != std::string::npos; }));
  const auto task = family.processes(kTestTasks);
  ASSERT_EQ(task.size(), 1u);
  server.stop("immediate");
  EXPECT_TRUE(eventually([&] {
    const auto living = family.processes();
    return living.find(task.front()) == living.end();
  })) << family.log();
  EXPECT_TRUE(eventually([&] { return family.log().find("could not keep its lease") != std::string::npos; }));
  std::fclose(std::fopen(files.file("go").c_str(), "w"));
  server.start();
  EXPECT_TRUE(eventually([&] {
    return postpone({"jobs", "list"}).find("succeeded") != std::string::npos;
  })) << family.log();
}

// A minute as it is: the outcome has to outlast every wait and limit that is shorter.
TEST(Outage, TheFinishOfAJobSurvivesAMinuteWithoutAServer) {
  PrivateServer server;
  const TemporaryDirectory files;
  const auto postpone = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), POSTPONE_CLI);
    return run_program(arguments, {.environment = {{"POSTPONE_DATABASE_URL", server.url()}}});
  };
  const auto shows = [&](const std::string& text) {
    return eventually([&] { return postpone({"jobs", "list"}).output.find(text) != std::string::npos; });
  };
  ASSERT_EQ(postpone({"schema", "apply"}).exit_status, 0);
  Family family(server.url(), supervisor_keys() + group("q", kTestTasks, 2));
  family.wait_until_ready(2);
  const auto deferred =
      postpone({"defer", "test.until", R"({"file": ")" + files.file("go") + R"("})", "--queue", "q"});
  ASSERT_EQ(deferred.exit_status, 0) << deferred.errors;
  ASSERT_TRUE(shows("doing"));
  const auto before = family.processes("postpone: sub-worker");
  server.stop("immediate");
  std::fclose(std::fopen(files.file("go").c_str(), "w"));
  std::this_thread::sleep_for(60s);
  server.start();
  EXPECT_TRUE(shows("succeeded")) << family.log();
  EXPECT_EQ(family.processes("postpone: sub-worker"), before) << "no process has exited meanwhile\n"
                                                              << family.log();
  postpone({"defer", "test.tick", "--queue", "q"});
  EXPECT_TRUE(eventually([&] {
    const auto list = postpone({"jobs", "list", "--status", "succeeded"}).output;
    return list.find("test.until") != std::string::npos && list.find("test.tick") != std::string::npos;
  })) << "and work goes on\n"
      << family.log();
}

}  // namespace
}  // namespace postpone::tests
