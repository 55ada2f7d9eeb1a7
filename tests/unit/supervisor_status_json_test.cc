// What the status socket tells in JSON, from a snapshot and nothing else.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <string>

#include "supervisor/status/json.h"
#include "supervisor/status/judge.h"
#include "supervisor/status/routes.h"
#include "tests/unit/supervisor_status_fixture.h"

namespace postpone::supervisor::status {
namespace {

using nlohmann::json;
using testing::StartsWith;

json told(const Snapshot& s) {
  return json::parse(to_json(s, judge(s)));
}

TEST(StatusJson, TellsOfTheRunningJob) {
  const json job = told(all_well())["sub_workers"][1]["job"];
  EXPECT_EQ(job["id"], 42);
  EXPECT_EQ(job["attempt"], 2);
  EXPECT_EQ(job["task"], "dishes.wash");
  EXPECT_EQ(job["lock"], nullptr);
  EXPECT_EQ(job["elapsed_s"], 3.0);
  EXPECT_EQ(job["time_limit_s"], 5.0);
  EXPECT_EQ(job["started_at"], "2023-11-14T22:13:17.000000Z");
  EXPECT_EQ(job["progress"]["done"], 3);
  EXPECT_EQ(job["progress"]["note"], "soaping");
  EXPECT_EQ(job["progress"]["age_s"], 1.0);
}

TEST(StatusJson, TellsOfLimitsWhereTheyAre) {
  Snapshot s = all_well();
  EXPECT_EQ(told(s)["tasks"][0]["concurrency_limit"], nullptr);
  EXPECT_FALSE(told(s)["tasks"][0].contains("concurrency"));
  s.tasks["dishes.wash"].concurrency_limit = 2;
  EXPECT_EQ(told(s)["tasks"][0]["concurrency_limit"], 2);
  EXPECT_EQ(told(s)["tasks"][0]["concurrency"], 0);
  s.tasks["dishes.wash"].concurrency = 1;
  EXPECT_EQ(told(s)["tasks"][0]["concurrency"], 1);
  EXPECT_FALSE(told(s)["queues"][0].contains("concurrency_limit"));
}

TEST(StatusJson, SaysUnknownWhatWasTorn) {
  Snapshot s = all_well();
  s.sub_workers[1].job_known = s.sub_workers[1].task_known = false;
  EXPECT_EQ(told(s)["sub_workers"][1]["job"], "unknown");
  EXPECT_EQ(told(s)["sub_workers"][1]["task_process"], "unknown");
}

TEST(StatusJson, OfWhoWaitsForARestart) {
  Snapshot s = all_well();
  Member& member = s.sub_workers[0].member;
  member.pid = 0;
  member.births = 3;
  member.crashes = 2;
  member.failures = 2;
  member.next_start_ns = kNow + kSecond / 2;
  member.last_end = End{kNow - kSecond, false, "signal 9 (Killed)"};
  const json worker = told(s)["sub_workers"][0];
  EXPECT_EQ(worker["pid"], nullptr);
  EXPECT_EQ(worker["restarts"], 2);
  EXPECT_EQ(worker["next_start_s"], 0.5);
  EXPECT_EQ(worker["last_end"]["cause"], "signal 9 (Killed)");
}

TEST(StatusJson, EachStateHasItsName) {
  Snapshot s = all_well();
  EXPECT_EQ(told(s)["database"]["listen"]["state"], "listening");
  s.listen.state = ListenState::connecting;
  EXPECT_EQ(told(s)["database"]["listen"]["state"], "connecting");
  s.listen.wanted = false;
  EXPECT_EQ(told(s)["database"]["listen"]["state"], "off");
  s.sub_workers[0].activity = Activity::waiting_for_permit;
  s.sub_workers[1].activity = Activity::unknown;
  EXPECT_EQ(told(s)["sub_workers"][0]["state"], "waiting_for_permit");
  EXPECT_EQ(told(s)["sub_workers"][1]["state"], "unknown");
}

TEST(StatusJson, TextsThatAreNotUtf8SpoilNothing) {
  Snapshot s = all_well();
  s.tasks["bad \xff name"] = {};
  EXPECT_EQ(told(s)["tasks"][0]["name"], "bad \uFFFD name");
}

// The library that reads it is another one than writes it.
TEST(StatusJson, TextsComeThroughWhateverStandsInThem) {
  std::string all;
  for (int c = 0; c < 0x80; ++c) all += static_cast<char>(c);
  for (const std::string& text : {all, std::string("ä € 😀"), std::string("\\\"\n")}) {
    Snapshot s = all_well();
    s.supervisor.config_file = text;
    EXPECT_EQ(told(s)["supervisor"]["config_file"], text);
  }
}

TEST(StatusJson, EachByteThatIsNoUtf8IsReplaced) {
  const auto comes_as = [](const std::string& text) {
    Snapshot s = all_well();
    s.supervisor.config_file = text;
    return told(s)["supervisor"]["config_file"].get<std::string>();
  };
  EXPECT_EQ(comes_as("a\xe4 z"), "a\uFFFD z");
  EXPECT_EQ(comes_as("\xc0\xaf"), "\uFFFD\uFFFD") << "longer than need be";
  EXPECT_EQ(comes_as("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD") << "half of a pair";
  EXPECT_EQ(comes_as("\xf4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD") << "beyond the last character";
  EXPECT_EQ(comes_as("cut \xe2\x82"), "cut \uFFFD\uFFFD");
}

TEST(StatusJson, QueuesAreNullUntilTheyWereMeasured) {
  Snapshot s = all_well();
  EXPECT_EQ(told(s)["waiting"], nullptr);
  s.waiting = board::QueueFacts();
  s.waiting->measured_ns = kNow - 4 * kSecond;
  s.waiting->count = 1;
  s.waiting->queues[0].name = board::Text<136>("kitchen");
  s.waiting->queues[0].ready = 12;
  s.waiting->queues[0].oldest_ns = 90 * kSecond;
  const json waiting = told(s)["waiting"];
  EXPECT_EQ(waiting["age_s"], 4.0);
  EXPECT_EQ(waiting["queues"][0]["ready"], 12);
  EXPECT_EQ(waiting["queues"][0]["oldest_s"], 90.0);
}

TEST(StatusJson, FailuresHaveTheirCause) {
  Snapshot s = all_well();
  board::FailedJob failed;
  failed.job_id = 5;
  failed.attempt = 1;
  failed.at_ns = kNow - kSecond;
  failed.ending = static_cast<std::int64_t>(board::Ending::retried);
  failed.cause = board::Text<24>("signalled");
  failed.task = board::Text<136>("dishes.wash");
  failed.message = board::Text<256>("signal 11");
  s.failures = {{1, failed}};
  const json failure = told(s)["recent_failures"][0];
  EXPECT_EQ(failure["job_id"], 5);
  EXPECT_EQ(failure["ending"], "retried");
  EXPECT_EQ(failure["cause"], "signalled");
  EXPECT_EQ(failure["slot"], 1);
  EXPECT_EQ(failure["task"], "dishes.wash");
  EXPECT_EQ(failure["attempt"], 1);
}

TEST(Events, AreServerSentEvents) {
  board::News news;
  news.job_id = 7;
  news.at_ns = kNow - kSecond;
  EXPECT_EQ(job_event(news, 3, "kitchen", kNow, kUnixNow),
            "event: job_started\ndata: "
            "{\"at\":\"2023-11-14T22:13:19.000000Z\",\"job_id\":7,\"task\":\"\",\"queue\":"
            "\"\",\"attempt\":0,\"group\":\"kitchen\",\"slot\":3}\n\n");
  EXPECT_THAT(member_event("sub-worker kitchen/3", 5, "signal 9 (Killed)", kUnixNow),
              StartsWith("event: process_died\ndata: {"));
}

}  // namespace
}  // namespace postpone::supervisor::status
