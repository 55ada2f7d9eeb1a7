// What JobManager::defer() stores, and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sql/job_manager.h"
#include "tests/integration/job_manager_fixture.h"
#include "tests/support/database.h"

namespace postpone::sql {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(AJobManager, StoresEveryFieldOfAJob) {
  const auto due = SystemTime(std::chrono::microseconds(4'000'000'000'123'456));
  DeferRequest request;
  request.task = "dishes.wash";
  request.queue = "kitchen";
  request.priority = -5;
  request.lock = "sink";
  request.queueing_lock = "plates";
  request.args = R"({"dish": "plate", "times": 2})";
  request.scheduled_at = due;
  const Job stored = job(defer(request));
  EXPECT_EQ(stored.task, "dishes.wash");
  EXPECT_EQ(stored.queue, "kitchen");
  EXPECT_EQ(stored.priority, -5);
  EXPECT_EQ(stored.lock, "sink");
  EXPECT_EQ(stored.queueing_lock, "plates");
  EXPECT_EQ(json::parse(stored.args), json::parse(request.args));
  EXPECT_EQ(stored.scheduled_at, due);
  EXPECT_EQ(stored.status, JobStatus::todo);
  EXPECT_EQ(stored.attempts, 0);
  EXPECT_FALSE(stored.abort_requested);
  EXPECT_EQ(stored.worker_id, std::nullopt);
}

TEST_F(AJobManager, DefersManyInTheOrderOfTheRequests) {
  std::vector<DeferRequest> requests(300);
  for (std::size_t i = 0; i < requests.size(); ++i) requests[i].task = "task" + std::to_string(i);
  const std::vector<JobId> ids = manager.defer(requests);
  ASSERT_EQ(ids.size(), requests.size());
  const std::vector<Job> jobs = manager.list({});
  ASSERT_EQ(ids_of(jobs), ids);
  for (std::size_t i = 0; i < jobs.size(); ++i) EXPECT_EQ(jobs[i].task, requests[i].task);
}

TEST_F(AJobManager, DefersNothingWhenNothingIsAsked) {
  EXPECT_THAT(manager.defer({}), IsEmpty());
}

TEST_F(AJobManager, KeepsOddTextsAsTheyAre) {
  const std::string odd = "a'b\"c\\d{e},f\n$1 ü NULL";
  DeferRequest request = request_of(odd);
  request.queue = odd;
  request.lock = odd;
  request.args = json{{"odd", odd}}.dump();
  const Job stored = job(defer(request));
  EXPECT_EQ(stored.task, odd);
  EXPECT_EQ(stored.queue, odd);
  EXPECT_EQ(stored.lock, odd);
  EXPECT_EQ(json::parse(stored.args)["odd"], odd);
}

TEST_F(AJobManager, SchedulesByTheDatabasesClock) {
  DeferRequest request = request_of("t");
  request.scheduled_in = 3600s;
  const SystemTime before = manager.server_time();
  const JobId id = defer(request);
  const SystemTime after = manager.server_time();
  EXPECT_GE(*job(id).scheduled_at, before + 1h - 1us);
  EXPECT_LE(*job(id).scheduled_at, after + 1h);
}

TEST_F(AJobManager, ReadsAJobThatIsScheduledForNever) {
  const JobId id = defer(request_of("t"));
  database.execute("update procrastinate_jobs set scheduled_at = 'infinity'");
  EXPECT_EQ(job(id).scheduled_at, SystemTime::max());
}

TEST_F(AJobManager, LooksPastTimesThatItsClockCannotHold) {
  database.execute(
      "select postpone_defer('t', scheduled_at => at::timestamptz)"
      " from unnest('{294276-12-31,infinity,-infinity,3000-01-01}'::text[]) at");
  EXPECT_EQ(manager.list({}).size(), 4U);
  const auto next = manager.next_due(std::nullopt);
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(next->due_at, SystemTime::max());
  EXPECT_GT(next->due_in, 23h * 24);
  EXPECT_EQ(manager.next_due(next->due_at), std::nullopt);
}

TEST_F(AJobManager, RefusesASecondWaitingJobOfAQueueingLock) {
  defer(with_queueing_lock("plates"));
  try {
    manager.defer({request_of("other"), with_queueing_lock("plates")});
    FAIL() << "nothing was thrown";
  } catch (const AlreadyEnqueued& error) {
    EXPECT_EQ(error.queueing_lock(), "plates");
    EXPECT_EQ(error.remedy(), Remedy::conflict);
    EXPECT_STREQ(error.what(), "already enqueued: a job with queueing lock \"plates\" waits");
  }
  EXPECT_THAT(manager.list({}), SizeIs(1)) << "all or none";
}

TEST_F(AJobManager, RefusesArgumentsThatAreNoObject) {
  DeferRequest request = request_of("t");
  request.args = "[1, 2]";
  const auto error = error_of([&] { manager.defer({request}); });
  EXPECT_EQ(error.remedy(), Remedy::bug);
  EXPECT_STREQ(error.what(), "job of task \"t\": the arguments are not a JSON object");
}

TEST_F(AJobManager, SaysThatPostgresqlStoresNoNul) {
  DeferRequest request = request_of("t");
  request.args = R"({"a": "\u0000"})";
  const auto error = error_of([&] { manager.defer({request}); });
  EXPECT_EQ(error.remedy(), Remedy::bug);
  EXPECT_THAT(error.what(), HasSubstr("\\u0000 cannot be converted to text"));
  EXPECT_NO_THROW(defer(request_of("t"))) << "the connection goes on";
}

TEST_F(AJobManager, DefersAPeriodicJobOncePerTick) {
  PeriodicDefer tick;
  tick.job = request_of("cache.sweep");
  tick.job.queue = "night";
  tick.job.priority = 3;
  tick.job.args = R"({"deep": true})";
  tick.periodic_id = "nightly";
  tick.timestamp = 1'700'000'000;
  const auto id = manager.defer_periodic(tick);
  ASSERT_TRUE(id);
  EXPECT_EQ(manager.defer_periodic(tick), std::nullopt);
  EXPECT_EQ(job(*id).queue, "night");
  EXPECT_EQ(job(*id).priority, 3);
  EXPECT_EQ(json::parse(job(*id).args), json::parse(R"({"deep": true, "timestamp": 1700000000})"));

  tick.timestamp += 300;
  EXPECT_TRUE(manager.defer_periodic(tick));
  tick.timestamp -= 300;
  EXPECT_EQ(manager.defer_periodic(tick), std::nullopt) << "though no row says so any more";
  tick.periodic_id = "another";
  EXPECT_TRUE(manager.defer_periodic(tick));
}

class ASchedule : public AJobManager {
 protected:
  ASchedule() {
    schedule.cron = "0 3 * * *";
    schedule.zone = "UTC";
    schedule.missed = "last";
    schedule.missed_within = std::chrono::hours(24);
    schedule.job = request_of("sweep");
  }
  std::int64_t announce() { return manager.announce_schedules("one", {schedule}).at(0); }
  std::int64_t now() { return std::stoll(database.execute("SELECT floor(extract(epoch FROM now()))")); }
  std::optional<JobId> defer_tick(std::int64_t timestamp) {
    return manager.defer_periodic({schedule.job, schedule.periodic_id, timestamp});
  }

  ServedSchedule schedule;
};

TEST_F(ASchedule, IsDoneWithWhatWasBeforeItExisted) {
  const auto before = now();
  const auto done = announce();
  EXPECT_GE(done, before);
  EXPECT_EQ(announce(), done) << "though time goes on";
}

TEST_F(ASchedule, ThatPythonHasServedIsDoneWithItsLastTick) {
  database.execute(
      "SELECT procrastinate_defer_periodic_job_v2('default', NULL, NULL, 'sweep', 0, '', 5000, '{}')");
  EXPECT_EQ(announce(), 5000);
}

TEST_F(ASchedule, IsDoneWithItsLastTick) {
  announce();
  const auto later = now() + 30;
  EXPECT_TRUE(defer_tick(later));
  EXPECT_EQ(announce(), later);
}

TEST_F(ASchedule, ThatTicksAtOtherTimesIsANewOne) {
  announce();
  database.execute("UPDATE postpone_schedules SET since = to_timestamp(1000)");
  EXPECT_EQ(announce(), 1000);
  schedule.job.args = R"({"deep": true})";
  EXPECT_EQ(announce(), 1000) << "arguments are no times";
  schedule.zone = "Europe/Paris";
  const auto before = now();
  EXPECT_GE(announce(), before);
}

TEST_F(ASchedule, ThatIsPausedDefersNothing) {
  announce();
  database.execute("SELECT postpone_pause_schedule('sweep')");
  EXPECT_EQ(defer_tick(now() + 10), std::nullopt);
  database.execute("SELECT postpone_resume_schedule('sweep')");
  EXPECT_TRUE(defer_tick(now() + 10));
}

TEST_F(ASchedule, IsDoneWithATickThatItsQueueingLockHasRefused) {
  schedule.job.queueing_lock = "sweep";
  announce();
  const auto tick = now() + 10;
  EXPECT_TRUE(defer_tick(tick));
  EXPECT_THROW(defer_tick(tick + 1), AlreadyEnqueued);
  EXPECT_EQ(defer_tick(tick + 1), std::nullopt);
}

TEST_F(ASchedule, OfWhichNobodySpeaksForAMonthIsForgottenUnlessItIsPaused) {
  announce();
  schedule.periodic_id = "paused";
  announce();
  database.execute("SELECT postpone_pause_schedule('sweep', 'paused')");
  database.execute("UPDATE postpone_schedules SET announced_at = now() - interval '31 days'");
  schedule.periodic_id = "other";
  announce();
  EXPECT_EQ(
      database.execute("SELECT string_agg(periodic_id, ' ' ORDER BY periodic_id) FROM postpone_schedules"),
      "other paused");
}

}  // namespace
}  // namespace postpone::sql
