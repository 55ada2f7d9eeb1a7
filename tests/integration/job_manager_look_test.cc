// What JobManager tells of jobs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sql/job_manager.h"
#include "tests/integration/job_manager_fixture.h"

namespace postpone::sql {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(AJobManager, FiltersByEveryField) {
  DeferRequest special = request_of("special");
  special.queue = "kitchen";
  special.lock = "sink";
  special.queueing_lock = "plates";
  special.priority = 1;
  defer(request_of("plain"));
  const JobId id = defer(special);
  defer(request_of("plain"));
  ASSERT_THAT(ids_of(fetch()), ElementsAre(id));

  EXPECT_THAT(ids_of(manager.list({.id = id})), ElementsAre(id));
  EXPECT_THAT(ids_of(manager.list({.queue = "kitchen"})), ElementsAre(id));
  EXPECT_THAT(ids_of(manager.list({.task = "special"})), ElementsAre(id));
  EXPECT_THAT(ids_of(manager.list({.lock = "sink"})), ElementsAre(id));
  EXPECT_THAT(ids_of(manager.list({.queueing_lock = "plates"})), ElementsAre(id));
  EXPECT_THAT(ids_of(manager.list({.worker_id = worker})), ElementsAre(id));
  EXPECT_THAT(ids_of(manager.list({.statuses = {JobStatus::failed, JobStatus::doing}})), ElementsAre(id));
  EXPECT_THAT(manager.list({.queue = "kitchen", .statuses = {JobStatus::todo}}), IsEmpty());
  EXPECT_THAT(manager.list({.queue = "default", .task = "plain"}), SizeIs(2));
}

TEST_F(AJobManager, ListsTheOldestOrTheNewestFirst) {
  const std::vector<JobId> ids = manager.defer({request_of("a"), request_of("b"), request_of("c")});
  EXPECT_THAT(ids_of(manager.list({})), ElementsAre(ids[0], ids[1], ids[2]));
  EXPECT_THAT(ids_of(manager.list({.limit = 2})), ElementsAre(ids[0], ids[1]));
  EXPECT_THAT(ids_of(manager.list({.limit = 2, .newest_first = true})), ElementsAre(ids[2], ids[1]));
}

TEST_F(AJobManager, TellsWhatHappenedToAJob) {
  const SystemTime before = manager.server_time();
  const JobId id = defer(request_of("t"));
  finish(outcome_of(fetch_one(), Action::succeed));
  const SystemTime after = manager.server_time();
  const std::vector<Event> events = manager.events(id);
  ASSERT_THAT(events, SizeIs(3));
  EXPECT_EQ(events[0].type, "deferred");
  EXPECT_EQ(events[1].type, "started");
  EXPECT_EQ(events[2].type, "succeeded");
  for (const Event& event : events) {
    EXPECT_GE(event.at, before);
    EXPECT_LE(event.at, after);
  }
}

TEST_F(AJobManager, KeepsHowAnAttemptEnded) {
  const JobId id = defer(request_of("t"));
  Outcome outcome = outcome_of(fetch_one(), Action::fail);
  outcome.cause = Cause::signalled;
  outcome.exception_type = "std::runtime_error";
  outcome.message = std::string("nul \0 byte", 10);
  outcome.signal = 11;
  outcome.exit_status = 3;
  outcome.stderr_tail = "torn \xC3";
  outcome.run_time = Seconds(1.25);
  outcome.cpu_time = Seconds(0.5);
  outcome.max_rss_bytes = 1 << 20;
  EXPECT_EQ(finish(outcome).disposition, Disposition::recorded);

  const std::vector<Attempt> attempts = manager.attempts(id);
  ASSERT_THAT(attempts, SizeIs(1));
  const Attempt& attempt = attempts[0];
  EXPECT_EQ(attempt.job_id, id);
  EXPECT_EQ(attempt.attempt, 1);
  EXPECT_EQ(attempt.cause, Cause::signalled);
  EXPECT_EQ(attempt.exception_type, "std::runtime_error");
  EXPECT_EQ(attempt.message, "nul \uFFFD byte");
  EXPECT_EQ(attempt.signal, 11);
  EXPECT_EQ(attempt.exit_status, 3);
  EXPECT_EQ(attempt.stderr_tail, "torn \uFFFD");
  EXPECT_EQ(attempt.run_time, Seconds(1.25));
  EXPECT_EQ(attempt.cpu_time, Seconds(0.5));
  EXPECT_EQ(attempt.max_rss_bytes, 1 << 20);
  EXPECT_EQ(attempt.worker_id, worker);
  EXPECT_EQ(attempt.worker_name, "kitchen/1");
  EXPECT_LE(attempt.ended_at, manager.server_time());
}

}  // namespace
}  // namespace postpone::sql
