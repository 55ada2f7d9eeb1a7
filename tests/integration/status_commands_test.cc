// `postpone status`, `top` and `healthcheck`, asked of a real supervisor.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>

#include "sys/fd.h"
#include "tests/integration/status_story.h"
#include "tests/support/cli.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/json_schema.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;

std::string run_cli(const std::vector<std::string>& arguments, int wanted_status = kDone) {
  const auto run = postpone(arguments);
  EXPECT_EQ(run.exit_status, wanted_status) << run.errors;
  return wanted_status == kDone ? run.output : run.errors;
}

TEST_F(Status, TheCommandShowsIt) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  const auto id = defer("test.until", "t", file_argument("go"), ", lock => 'sink'");
  defer("misbehave.segfault", "m");
  ASSERT_TRUE(eventually([&] {
    const json all = status();
    return all["sub_workers"][2]["job"].is_object() && all["recent_failures"].size() == 1 &&
           all["waiting"].is_object();
  }));
  const std::string page = run_cli({"status", "--socket", path()});
  EXPECT_THAT(page, HasSubstr("\nstate        running, ready\n"));
  EXPECT_TRUE(std::regex_search(
      page, std::regex("\n(SUB-WORKER +FOR +JOB +TASK +LOCK.*\n)t/2 .* " + id + "  test.until  sink")))
      << page;
  EXPECT_TRUE(std::regex_search(page, std::regex("ago +[0-9]+  misbehave.segfault +failed  signalled")))
      << page;
  EXPECT_THAT(violations(json::parse(run_cli({"status", "--json", "--socket", path()})), schema()),
              IsEmpty());
  std::ofstream(files_.file("other.toml")) << section() << group("m", kMisbehave, 1);
  EXPECT_THAT(run_cli({"status", "--config", files_.file("other.toml")}), HasSubstr("running, ready"));
  let_go("go");
}

TEST_F(Status, TopIsAListingWhenPiped) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  defer("misbehave.noop", "m");
  ASSERT_TRUE(eventually([&] { return status()["queues"].size() == 1; }));
  const std::string pages =
      run_cli({"top", "--socket", path(), "--count", "2", "--interval", "200ms", "--sort", "jobs"});
  EXPECT_EQ(pages.find('\x1b'), std::string::npos) << "no word for a terminal";
  const auto second = pages.find("\n\npostpone ");
  ASSERT_NE(second, std::string::npos) << pages;
  EXPECT_THAT(pages.substr(second), HasSubstr(" jobs/s\n"));
  EXPECT_TRUE(std::regex_search(pages, std::regex("\nSLOT +STATE .*\nm/[01] .*\n(m|t)/")))
      << "who did most comes first: " << pages;
}

TEST_F(Status, HealthcheckAsksTheSupervisorToo) {
  const std::vector<std::string> ready{"healthcheck", "--database-url", database_.url(),
                                       "--socket",    path(),           "--ready"};
  const std::vector<std::string> alive(ready.begin(), ready.end() - 1);
  EXPECT_THAT(run_cli(alive, kUnreachable), HasSubstr("is the supervisor running"));
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  ASSERT_TRUE(becomes("running"));
  EXPECT_THAT(run_cli(ready), HasSubstr("; the supervisor answers (ready)\n"));
  EXPECT_THAT(run_cli({"healthcheck", "--database-url", database_.url(), "--config", family.config_path()}),
              HasSubstr("; the supervisor answers (ready)\n"));
  family.signal(SIGTSTP);
  ASSERT_TRUE(becomes("paused"));
  EXPECT_THAT(run_cli(alive), HasSubstr("the supervisor answers (not ready: paused"));
  EXPECT_THAT(run_cli(ready, kNotDone), HasSubstr("the supervisor is not ready: paused"));
  EXPECT_THAT(run_cli({"healthcheck", "--database-url", database_.url(), "--ready"}, kUsage),
              HasSubstr("which supervisor?"));
}

TEST_F(Status, TheCommandsSayWhatIsWrong) {
  EXPECT_THAT(run_cli({"status"}, kUsage),
              HasSubstr("give --socket PATH, or --config FILE with [status] socket"));
  EXPECT_THAT(run_cli({"top", "--interval", "1ms", "--socket", "x"}, kUsage),
              HasSubstr("no duration from 100ms to 24h"));
  EXPECT_THAT(
      run_cli({"status", "--socket", path()}, kUnreachable),
      HasSubstr("status socket " + path() + ": No such file or directory; is the supervisor running"));
  std::ofstream(files_.file("none.toml")) << group("m", kMisbehave, 1);
  EXPECT_THAT(run_cli({"status", "--config", files_.file("none.toml")}, kConfiguration),
              HasSubstr("has no [status] socket"));
  const sys::Fd other(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path().data(), path().size());
  ASSERT_EQ(::bind(other.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_THAT(run_cli({"status", "--socket", path()}, kUnreachable),
              HasSubstr("Connection refused; is the supervisor running"));
  ASSERT_EQ(::listen(other.get(), 1), 0);
  EXPECT_THAT(run_cli({"status", "--socket", path()}, kUnreachable), HasSubstr("no answer within 5 s"));
}

}  // namespace
}  // namespace postpone::tests
