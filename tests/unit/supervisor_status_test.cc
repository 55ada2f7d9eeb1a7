// What the status socket tells, from a snapshot and nothing else.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <string>

#include "supervisor/status/json.h"
#include "supervisor/status/judge.h"
#include "supervisor/status/metrics.h"
#include "supervisor/status/routes.h"

namespace postpone::supervisor::status {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kNow = 1'000 * kSecond;
constexpr std::int64_t kUnixNow = 1'700'000'000 * kSecond;

Member living(std::int64_t pid) {
  Member member;
  member.pid = pid;
  member.ready = member.was_ready = true;
  member.births = 1;
  member.heartbeat_ns = kNow - kSecond;
  return member;
}

// Two sub-workers of one group, all well; the second one runs a job.
Snapshot all_well() {
  Snapshot s;
  s.now_ns = kNow;
  s.now_unix_ns = kUnixNow;
  s.phase = Phase::working;
  s.supervisor.version = "1.2.3";
  s.supervisor.name = "host:1:2";
  s.supervisor.pid = 1;
  s.supervisor.started_ns = kNow - 60 * kSecond;
  s.supervisor.started_unix_ns = kUnixNow - 60 * kSecond;
  s.database.state = DatabaseState::up;
  s.database.connections = 1;
  s.database.server_version = 150'006;
  s.database.heartbeat_ns = kNow - 2 * kSecond;
  s.listen.wanted = true;
  s.listen.state = ListenState::listening;
  s.fence_after_ns = 20 * kSecond;
  s.standing = {.wanted = 3, .failing = 0, .housekeeper_serves = true, .unserved = ""};
  s.housekeeper.member = living(2);
  s.groups.push_back({"kitchen", {"kitchen"}, {}});
  s.groups[0].counts.ended = {10, 2, 2, 0};
  for (std::uint32_t slot = 0; slot < 2; ++slot) {
    SubWorker worker;
    worker.slot = slot;
    worker.member = living(10 + slot);
    worker.activity = slot == 0 ? Activity::idle : Activity::running;
    worker.since_ns = kNow - 3 * kSecond;
    worker.fetched = 7;
    worker.ended = {5, 1, 1, 0};
    s.sub_workers.push_back(worker);
  }
  board::RunningJob job;
  job.job_id = 42;
  job.attempt = 2;
  job.started_ns = kNow - 3 * kSecond;
  job.time_limit_ns = 5 * kSecond;
  job.task = board::Text<136>("dishes.wash");
  job.queue = board::Text<136>("kitchen");
  s.sub_workers[1].job = Job{job, board::Progress{42, 3, 10, kNow - kSecond}};
  s.sub_workers[1].task = board::TaskFacts{99, kNow - 9 * kSecond, 4, 1 << 20, kSecond / 2, kNow};
  s.tasks["dishes.wash"] = {true, {10, 2, 2, 0}, 30 * kSecond};
  s.queues["kitchen"] = {false, {10, 2, 2, 0}, 30 * kSecond};
  return s;
}

json told(const Snapshot& s) {
  return json::parse(to_json(s, judge(s)));
}

State state_of(const Snapshot& s) {
  return judge(s).state;
}

// --- the judgement ---

TEST(Judge, AllWellIsRunningAndReady) {
  const Judgement judgement = judge(all_well());
  EXPECT_EQ(judgement.state, State::running);
  EXPECT_THAT(judgement.reasons, IsEmpty());
  EXPECT_EQ(judgement.not_ready, "");
}

TEST(Judge, ThePreflightIsStartingAndNotReady) {
  Snapshot s = all_well();
  s.phase = Phase::preflight;
  EXPECT_EQ(state_of(s), State::starting);
  EXPECT_THAT(judge(s).not_ready, HasSubstr("schema and task executables are checked"));
}

TEST(Judge, WhoHasNotBeenReadyYetIsStarting) {
  Snapshot s = all_well();
  s.sub_workers[0].member.ready = s.sub_workers[0].member.was_ready = false;
  EXPECT_EQ(state_of(s), State::starting);
  EXPECT_EQ(judge(s).not_ready, "") << "the other one works";
}

TEST(Judge, OutcomesThatTheDatabaseRefusesDegradeForTenMinutes) {
  Snapshot s = all_well();
  s.sub_workers[1].unrecorded_ns = kNow - 599 * kSecond;
  EXPECT_EQ(judge(s).state, State::degraded);
  EXPECT_THAT(judge(s).reasons.at(0), HasSubstr("jobs of 1 sub-workers have ended: postpone stalled list"));
  EXPECT_EQ(judge(s).not_ready, "") << "others are run";
  s.sub_workers[1].unrecorded_ns = kNow - 601 * kSecond;
  EXPECT_EQ(judge(s).state, State::running);
}

TEST(Judge, OneThatIsReplacedIsNoReasonForAnything) {
  Snapshot s = all_well();
  s.sub_workers[0].member.ready = false;
  s.sub_workers[0].member.pid = 0;
  EXPECT_EQ(state_of(s), State::running);
}

TEST(Judge, AHousekeeperThatIsReplacedSaysNothingOfTheDatabase) {
  Snapshot s = all_well();
  s.housekeeper.member.pid = 0;
  s.housekeeper.member.ready = false;
  s.housekeeper.member.last_end = End{kNow, true, "exit status 0"};
  s.database.state = DatabaseState::unknown;
  EXPECT_EQ(state_of(s), State::running);
  EXPECT_EQ(judge(s).not_ready, "") << "sub-workers fetch without it";
  s.housekeeper.member.last_end->well = false;
  s.housekeeper.member.last_end->how = "signal 11 (Segmentation fault)";
  EXPECT_EQ(state_of(s), State::degraded);
  EXPECT_THAT(judge(s).reasons, ElementsAre(HasSubstr("housekeeper is not running (signal 11")));
}

TEST(Judge, AGroupThatNobodyServesIsNotReady) {
  Snapshot s = all_well();
  s.standing.unserved = "mail";
  EXPECT_EQ(judge(s).not_ready, "no sub-worker of group mail is ready");
}

TEST(Judge, DegradedSaysWhy) {
  Snapshot s = all_well();
  s.standing.failing = 1;
  s.database.state = DatabaseState::down;
  s.database.last_error = Trouble{kNow, "connection refused"};
  s.listen.state = ListenState::waiting;
  s.listen.last_error = Trouble{kNow, "no route"};
  s.database.heartbeat_ns = kNow - 25 * kSecond;
  const Judgement judgement = judge(s);
  EXPECT_EQ(judgement.state, State::degraded);
  EXPECT_THAT(judgement.reasons,
              ElementsAre("1 of 3 processes do not get ready; they are started again with growing waits",
                          "the database cannot be reached: connection refused",
                          "new jobs are not heard of, only polled for: no route",
                          "no heartbeat has reached the database for 25 s: running jobs are stopped"));
  EXPECT_EQ(judgement.not_ready, "the database cannot be reached: connection refused");
}

TEST(Judge, WithoutListenNobodyMissesIt) {
  Snapshot s = all_well();
  s.listen = {};
  EXPECT_EQ(state_of(s), State::running);
}

TEST(Judge, PausedAndDrainingAreNotReady) {
  Snapshot s = all_well();
  s.paused = true;
  EXPECT_EQ(state_of(s), State::paused);
  EXPECT_THAT(judge(s).not_ready, StartsWith("paused"));
  s.phase = Phase::draining;
  EXPECT_EQ(state_of(s), State::draining);
  EXPECT_THAT(judge(s).not_ready, StartsWith("draining"));
}

// --- JSON ---

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
  EXPECT_EQ(job["progress"]["age_s"], 1.0);
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

// --- metrics ---

std::string metrics(const Snapshot& s) {
  return to_metrics(s, judge(s));
}

TEST(Metrics, CountsAndHistogramsAreThere) {
  Snapshot s = all_well();
  s.groups[0].counts.run_time.counts[0] = 3;
  s.groups[0].counts.run_time.counts[2] = 1;
  s.groups[0].counts.run_time.sum_ns = kSecond;
  const std::string text = metrics(s);
  EXPECT_THAT(text, HasSubstr("\npostpone_jobs_ended_total{group=\"kitchen\",ending=\"succeeded\"} 10\n"));
  EXPECT_THAT(text, HasSubstr("\npostpone_job_run_seconds_bucket{group=\"kitchen\",le=\"0.001\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("\npostpone_job_run_seconds_bucket{group=\"kitchen\",le=\"0.005\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("\npostpone_job_run_seconds_bucket{group=\"kitchen\",le=\"0.025\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("\npostpone_job_run_seconds_bucket{group=\"kitchen\",le=\"+Inf\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("\npostpone_job_run_seconds_sum{group=\"kitchen\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("\npostpone_subworkers{group=\"kitchen\",state=\"idle\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("\npostpone_state{state=\"running\"} 1\n"));
  EXPECT_THAT(text,
              HasSubstr("\npostpone_task_jobs_ended_total{task=\"dishes.wash\",ending=\"retried\"} 2\n"));
}

TEST(Metrics, NamesAreEscaped) {
  Snapshot s = all_well();
  s.queues["a \"b\" \\ \n c"] = {};
  EXPECT_THAT(metrics(s), HasSubstr("queue=\"a \\\"b\\\" \\\\ \\n c\""));
}

TEST(Metrics, WhatIsNoUtf8IsReplaced) {
  Snapshot s = all_well();
  s.queues["a\xFF z"] = {};
  EXPECT_THAT(metrics(s), HasSubstr("queue=\"a\xEF\xBF\xBD z\""));
}

TEST(Metrics, AQueueThatIsCalledAsTheRestIsCountedWithIt) {
  Snapshot s = all_well();
  s.waiting.emplace();
  s.waiting->measured_ns = kNow;
  s.waiting->count = 1;
  s.waiting->queues[0].name = board::Text<136>(board::kOthers);
  s.waiting->queues[0].ready = 3;
  s.waiting->other_queues = 2;
  s.waiting->other_ready = 8;
  EXPECT_THAT(metrics(s), HasSubstr("\npostpone_queue_ready_jobs{queue=\"(others)\"} 11\n"));
}

TEST(Metrics, OldFiguresAreNone) {
  Snapshot s = all_well();
  s.waiting.emplace();
  s.waiting->measured_ns = kNow - 299 * kSecond;
  EXPECT_THAT(metrics(s), HasSubstr("postpone_queue_ready_jobs"));
  s.waiting->measured_ns = kNow - 301 * kSecond;
  EXPECT_THAT(metrics(s), Not(HasSubstr("postpone_queue_ready_jobs")));
}

TEST(Metrics, OfTheDatabaseNothingIsSaidWhileNobodyKnows) {
  Snapshot s = all_well();
  EXPECT_THAT(metrics(s), HasSubstr("\npostpone_database_up 1\n"));
  s.database.state = DatabaseState::down;
  EXPECT_THAT(metrics(s), HasSubstr("\npostpone_database_up 0\n"));
  s.database.state = DatabaseState::unknown;
  EXPECT_THAT(metrics(s), Not(HasSubstr("\npostpone_database_up")));
}

TEST(Metrics, QueuesThatWereNotMeasuredAreLeftOut) {
  EXPECT_THAT(metrics(all_well()), Not(HasSubstr("postpone_queue_ready_jobs")));
}

// --- routes ---

Response ask(std::string_view method, std::string_view target, Snapshot s = all_well()) {
  return route(method, target, [&] { return View{s, judge(s)}; });
}

TEST(Routes, EachPageHasItsPlace) {
  EXPECT_EQ(ask("GET", "/status").content_type, "application/json");
  EXPECT_EQ(ask("GET", "/status?pretty").status, 200);
  EXPECT_THAT(ask("GET", "/metrics").content_type, StartsWith("text/plain; version=0.0.4"));
  EXPECT_EQ(ask("GET", "/healthz").body, "ok\n");
  EXPECT_EQ(ask("GET", "/readyz").body, "ready\n");
  EXPECT_TRUE(ask("GET", "/events").follow);
}

TEST(Routes, NotReadySaysWhy) {
  Snapshot s = all_well();
  s.paused = true;
  const Response response = ask("GET", "/readyz", s);
  EXPECT_EQ(response.status, 503);
  EXPECT_THAT(response.body, StartsWith("not ready: paused"));
}

TEST(Routes, WrongMethodsAndPathsAreTold) {
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get", ""}) {
    const Response response = ask(method, "/status");
    EXPECT_EQ(response.status, 405) << method;
    EXPECT_EQ(response.allow, "GET, HEAD");
  }
  for (const char* target : {"/", "", "/statuss", "/status/", "//status", "http://x/status", "*"})
    EXPECT_EQ(ask("GET", target).status, 404) << target;
}

}  // namespace
}  // namespace postpone::supervisor::status
