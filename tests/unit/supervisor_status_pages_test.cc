// The page /metrics and the others, from a snapshot and nothing else.
#include <gmock/gmock.h>

#include <string>

#include "supervisor/status/judge.h"
#include "supervisor/status/metrics.h"
#include "supervisor/status/routes.h"
#include "tests/unit/supervisor_status_fixture.h"

namespace postpone::supervisor::status {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

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
