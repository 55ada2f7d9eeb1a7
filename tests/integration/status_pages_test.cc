// The small pages, and all of them on bad days.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>

#include "tests/integration/status_story.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/json_schema.h"
#include "tests/support/private_server.h"
#include "tests/support/program.h"
#include "tests/support/signals.h"

namespace postpone::tests {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

// --- the small pages ---

TEST_F(Status, SaysWhetherItIsReadyAndWhyNot) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  ASSERT_TRUE(becomes("running"));
  EXPECT_EQ(answer("/healthz"), "200 ok\n");
  EXPECT_EQ(answer("/readyz"), "200 ready\n");
  family.signal(SIGTSTP);
  ASSERT_TRUE(becomes("paused"));
  EXPECT_THAT(answer("/readyz"), StartsWith("503 not ready: paused"));
  EXPECT_EQ(answer("/healthz"), "200 ok\n");
  family.signal(SIGCONT);
  ASSERT_TRUE(becomes("running"));
  EXPECT_EQ(answer("/readyz"), "200 ready\n");
}

TEST_F(Status, AnswersHeadAndRefusesTheRest) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  const std::string head = curl("/status", {"--head"}).output;
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(std::regex_search(head, std::regex("Content-Length: [1-9][0-9]{2,}\r\n"))) << head;
  EXPECT_THAT(curl("/events", {"--head"}).output, StartsWith("HTTP/1.1 200 OK\r\n"));
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS"})
    EXPECT_EQ(answer("/status", {"--request", method}),
              "405 nothing can be changed here: GET and HEAD only\n");
  EXPECT_THAT(curl("/status", {"--request", "DELETE", "--include"}).output,
              HasSubstr("\r\nAllow: GET, HEAD\r\n"));
  EXPECT_THAT(answer("/"), StartsWith("404 there are /status,"));
  EXPECT_THAT(answer("/status", {"--data", "x=1"}), StartsWith("413 "));
  EXPECT_THAT(answer("/status", {"--http1.0"}), StartsWith("200 {"));
}

TEST_F(Status, OneConnectionServesManyRequests) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  const auto run =
      run_program({"curl", "--silent", "--verbose", "--unix-socket", path(), "http://localhost/healthz",
                   "http://localhost/readyz", "http://localhost/nothing", "http://localhost/healthz"});
  EXPECT_EQ(run.exit_status, 0) << run.errors;
  EXPECT_THAT(run.errors, HasSubstr("Re-using existing connection"));
  EXPECT_TRUE(run.output.ends_with("ok\n")) << run.output;
}

// --- bad days ---

TEST_F(Status, AnswersWhileTheDatabaseIsAway) {
  PrivateServer server;
  run_program({POSTPONE_CLI, "--database-url", server.url(), "schema", "apply"});
  Family family(server.url(),
                config("heartbeat_interval = \"1s\"\nfence_after = \"3s\"\nstalled_after = \"6s\"\n"));
  family.wait_until_ready(3);
  ASSERT_TRUE(becomes("running"));
  server.stop("immediate");
  ASSERT_TRUE(eventually([&] { return status()["database"]["state"] == "down"; })) << family.log();
  const json down = status();
  EXPECT_EQ(down["supervisor"]["state"], "degraded");
  EXPECT_FALSE(down["supervisor"]["ready"]);
  EXPECT_THAT(down["supervisor"]["reasons"].dump(), HasSubstr("the database cannot be reached"));
  EXPECT_TRUE(down["database"]["last_error"].is_object());
  EXPECT_THAT(violations(down, schema()), IsEmpty());
  EXPECT_THAT(answer("/readyz"), StartsWith("503 not ready: the database cannot be reached"));
  EXPECT_EQ(answer("/healthz"), "200 ok\n");
  server.start();
  ASSERT_TRUE(becomes("running")) << status().dump(1);
  EXPECT_GE(status()["database"]["reconnects"], 1);
}

TEST_F(Status, AnswersBeforeTheDatabaseWasEverReached) {
  Family family("host=/nowhere dbname=none", config());
  ASSERT_TRUE(eventually([&] { return curl("/healthz").exit_status == 0; }));
  const json all = status();
  EXPECT_EQ(all["supervisor"]["state"], "starting");
  EXPECT_THAT(violations(all, schema()), IsEmpty());
  EXPECT_THAT(answer("/readyz"), StartsWith("503 not ready: schema and task executables are checked"));
  ASSERT_TRUE(eventually([&] { return status()["database"]["last_error"].is_object(); }));
  EXPECT_EQ(status()["database"]["state"], "down");
  EXPECT_THAT(status()["database"]["last_error"]["message"].get<std::string>(), HasSubstr("/nowhere"));
  EXPECT_THAT(answer("/readyz"), HasSubstr("/nowhere"));
  EXPECT_THAT(violations(status(), schema()), IsEmpty());
}

TEST_F(Status, AnswersWhileASubWorkerIsStoppedAndWhileDraining) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  defer("test.until", "t", file_argument("go"));
  ASSERT_TRUE(eventually([&] { return status()["sub_workers"][2]["job"].is_object(); }));
  const pid_t stopped = status()["sub_workers"][0]["pid"];
  send_signal(stopped, SIGSTOP);
  EXPECT_TRUE(eventually([&] { return status()["sub_workers"][0]["heartbeat_age_s"] > 1.5; }));
  send_signal(stopped, SIGCONT);
  family.signal(SIGTERM);
  ASSERT_TRUE(becomes("draining"));
  EXPECT_THAT(answer("/readyz"), StartsWith("503 not ready: draining"));
  EXPECT_EQ(status()["sub_workers"][2]["state"], "running");
  let_go("go");
  EXPECT_EQ(family.wait().code, 0);
  EXPECT_NE(::access(path().c_str(), F_OK), 0) << "the socket goes with the supervisor";
}

}  // namespace
}  // namespace postpone::tests
