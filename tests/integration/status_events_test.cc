// The page /events, and those who follow it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <string>

#include "tests/integration/status_client.h"
#include "tests/integration/status_story.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/signals.h"

namespace postpone::tests {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

TEST_F(Status, EventsTellWhatHappens) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  Client follower(path());
  follower.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(follower.read("event: state_changed"), HasSubstr("Content-Type: text/event-stream\r\n"));
  const auto id = defer("misbehave.noop", "m");
  EXPECT_THAT(follower.read("event: job_started\ndata: "), HasSubstr("event: job_started\n"));
  EXPECT_THAT(follower.read("event: job_finished\ndata: "), HasSubstr("\"job_id\":" + id + ","));
  send_signal(status()["sub_workers"][0]["pid"].get<pid_t>(), SIGKILL);
  EXPECT_THAT(follower.read("event: process_died\ndata: "), HasSubstr("event: process_died\n"));
  EXPECT_THAT(follower.read("signal 9 (Killed)"), HasSubstr("\"name\":\"sub-worker m/0\""));
  EXPECT_THAT(follower.read("event: process_born"), HasSubstr("event: process_born"));
  family.signal(SIGTSTP);
  EXPECT_THAT(follower.read("\"state\":\"paused\""), HasSubstr("\"state\":\"paused\""));
}

TEST_F(Status, AFollowerWhoDoesNotReadIsDropped) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  Client lazy(path());
  lazy.send("GET /events HTTP/1.1\r\n\r\n");
  lazy.read("event: state_changed");
  const std::string many =
      "SELECT count(postpone_defer('misbehave.noop', queue => 'm')) FROM generate_series(1, 500)";
  // Each job is some 350 bytes of events: until socket and backlog are full, and it is no longer served.
  const auto dropped = [&] {
    return family.processes("postpone: supervisor").size() == 1 && lazy.is_hung_up();
  };
  for (int round = 0; round < 20 && !dropped(); ++round) {
    sql(many);
    eventually([&] {
      return sql("SELECT count(*) FROM procrastinate_jobs WHERE queue_name = 'm' AND status IN ('todo', "
                 "'doing')") == "0";
    });
  }
  EXPECT_TRUE(eventually(dropped, 40s));
  EXPECT_EQ(answer("/healthz"), "200 ok\n");
}

TEST_F(Status, AFollowerWhoTalksIsDropped) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  Client talker(path());
  talker.send("GET /events HTTP/1.1\r\n\r\n");
  talker.read(": following");
  EXPECT_TRUE(eventually([&] { return !talker.send(std::string(1024, 'x')); }));
}

TEST_F(Status, EachFollowerIsToldTheStateFirst) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  ASSERT_TRUE(becomes("running"));
  for (int i = 0; i < 2; ++i) {
    Client follower(path());
    follower.send("GET /events HTTP/1.1\r\n\r\n");
    EXPECT_THAT(follower.read("}\n\n"), HasSubstr("event: state_changed\ndata: {"));
  }
  Client first(path());
  first.send("GET /events HTTP/1.1\r\n\r\n");
  first.read("}\n\n");
  Client second(path());
  second.send("GET /events HTTP/1.1\r\n\r\n");
  EXPECT_THAT(second.read("}\n\n"), HasSubstr("\"state\":\"running\""));
}

TEST_F(Status, TheSeventeenthFollowerIsRefused) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  std::vector<Client> followers;
  for (int i = 0; i < 16; ++i) {
    followers.emplace_back(path());
    followers.back().send("GET /events HTTP/1.1\r\n\r\n");
    followers.back().read(": following");
  }
  EXPECT_THAT(answer("/events"), StartsWith("503 16 clients follow the events already"));
  followers.pop_back();
  EXPECT_TRUE(eventually([&] {
    Client client(path());
    client.send("GET /events HTTP/1.1\r\n\r\n");
    return client.read("\r\n").starts_with("HTTP/1.1 200");
  }));
}

}  // namespace
}  // namespace postpone::tests
