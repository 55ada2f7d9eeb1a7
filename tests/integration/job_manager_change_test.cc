// What people change through BulkChanges and Purge: cancel, retry, sets of jobs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "sql/bulk_changes.h"
#include "sql/job_manager.h"
#include "sql/purge.h"
#include "tests/integration/job_manager_fixture.h"
#include "tests/support/database.h"
#include "tests/support/eventually.h"

namespace postpone::sql {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

JobChange only(const std::vector<JobChange>& changes) {
  EXPECT_THAT(changes, SizeIs(1));
  return changes.at(0);
}

TEST_F(AJobManager, CancelsAWaitingJob) {
  const JobId id = defer(request_of("t"));
  EXPECT_EQ(only(set.cancel({id}, false, false, false)).what, JobChange::What::cancelled);
  EXPECT_EQ(job(id).status, JobStatus::cancelled);
  EXPECT_EQ(only(set.cancel({id}, true, false, false)).what, JobChange::What::refused)
      << "it does not wait any more";
  EXPECT_EQ(only(set.cancel({987654321}, true, true, false)).what, JobChange::What::not_found);
}

TEST_F(AJobManager, DeletesAWaitingJob) {
  const JobId id = defer(request_of("t"));
  EXPECT_EQ(only(set.cancel({id}, false, true, false)).what, JobChange::What::deleted);
  EXPECT_THAT(manager.list({.id = id}), IsEmpty());
}

TEST_F(AJobManager, AsksARunningJobToStop) {
  const JobId id = defer(request_of("t"));
  fetch_one();
  EXPECT_EQ(only(set.cancel({id}, false, false, false)).what, JobChange::What::refused);
  EXPECT_THAT(manager.jobs_to_stop({{worker, id}}), IsEmpty());
  EXPECT_EQ(only(set.cancel({id}, true, false, false)).what, JobChange::What::abort_requested);
  EXPECT_TRUE(job(id).abort_requested);
  const auto stops = manager.jobs_to_stop({{worker, id}});
  ASSERT_THAT(stops, SizeIs(1));
  EXPECT_EQ(stops[0].job.job_id, id);
  EXPECT_TRUE(stops[0].is_held);
  EXPECT_THAT(manager.jobs_to_stop({}), IsEmpty());
}

TEST_F(AJobManager, KnowsWhichJobsAreTheirRunnersNoMore) {
  const auto other = manager.register_worker({"s", "h", "other", 1});
  std::vector<RunningJob> running;
  for (int i = 0; i < 6; ++i) {
    const JobId id = defer(request_of("t"));
    fetch_one();
    running.push_back({worker, id});
  }
  EXPECT_THAT(manager.jobs_to_stop(running), IsEmpty());
  const auto id = [&](std::size_t i) { return std::to_string(running[i].job_id); };
  database.execute("DELETE FROM procrastinate_jobs WHERE id = " + id(0));
  database.execute("UPDATE procrastinate_jobs SET status = 'todo' WHERE id = " + id(1));
  database.execute("UPDATE procrastinate_jobs SET status = 'succeeded' WHERE id = " + id(2));
  database.execute("UPDATE procrastinate_jobs SET worker_id = " + std::to_string(other) +
                   " WHERE id = " + id(3));
  database.execute("UPDATE procrastinate_jobs SET worker_id = NULL WHERE id = " + id(4));
  std::vector<JobId> taken;
  for (const JobToStop& stop : manager.jobs_to_stop(running)) {
    EXPECT_FALSE(stop.is_held);
    EXPECT_EQ(stop.job.worker_id, worker);
    taken.push_back(stop.job.job_id);
  }
  EXPECT_THAT(taken, testing::UnorderedElementsAre(running[0].job_id, running[1].job_id, running[2].job_id,
                                                   running[3].job_id, running[4].job_id));
}

TEST_F(AJobManager, LetsAFailedJobWaitAgain) {
  const JobId id = deferred_and_failed(request_of("t"));
  RetryOptions options;
  options.at = SystemTime(std::chrono::microseconds(4'000'000'000'000'001));
  options.priority = 9;
  options.queue = "slow";
  options.lock = "sink";
  const JobChange change = only(set.retry({id}, options, false, false));
  EXPECT_EQ(change.id, id);
  EXPECT_EQ(change.what, JobChange::What::retried);
  const Job waiting = job(id);
  EXPECT_EQ(waiting.status, JobStatus::todo);
  EXPECT_EQ(waiting.scheduled_at, options.at);
  EXPECT_EQ(waiting.priority, 9);
  EXPECT_EQ(waiting.queue, "slow");
  EXPECT_EQ(waiting.lock, "sink");
}

TEST_F(AJobManager, LeavesAFailedJobWhoseQueueingLockIsTaken) {
  const JobId id = deferred_and_failed(with_queueing_lock("plates"));
  const JobId waiting = defer(with_queueing_lock("plates"));
  const JobChange change = only(set.retry({id}, {}, false, false));
  EXPECT_EQ(change.what, JobChange::What::superseded);
  EXPECT_EQ(change.by, waiting);
  EXPECT_EQ(job(id).status, JobStatus::failed);
}

TEST_F(AJobManager, RetriesNothingThatIsNotThere) {
  EXPECT_EQ(only(set.retry({987654321}, {}, false, false)).what, JobChange::What::not_found);
}

// The job has been fetched between the look at it and the change.
TEST_F(AJobManager, LeavesAJobThatHasBegunToRunMeanwhile) {
  const JobId id = deferred_and_failed(request_of("t"));
  database.execute("BEGIN");
  database.execute("UPDATE procrastinate_jobs SET status = 'todo' WHERE id = " + std::to_string(id));
  database.execute("SELECT postpone_fetch_jobs(NULL, " + std::to_string(worker) + ", 1)");
  auto change = std::async(std::launch::async, [&] { return only(set.retry({id}, {}, false, false)); });
  EXPECT_TRUE(tests::eventually([&] {
    return tests::execute(database.url(), "SELECT count(*) FROM pg_locks WHERE NOT granted") != "0";
  })) << "it waits for the row";
  database.execute("COMMIT");
  const JobChange refused = change.get();
  EXPECT_EQ(refused.what, JobChange::What::refused);
  EXPECT_EQ(refused.status, JobStatus::doing);
  EXPECT_EQ(job(id).worker_id, worker);
}

TEST_F(AJobManager, ChangesAllJobsOfASetButThatWhichAnotherSessionHasLocked) {
  std::vector<JobId> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(defer(request_of("t")));
  database.execute("BEGIN");
  database.execute("SELECT id FROM procrastinate_jobs WHERE id = " + std::to_string(ids[3]) + " FOR UPDATE");
  const std::vector<JobChange> changes = set.cancel(ids, false, false, false);
  database.execute("ROLLBACK");
  for (std::size_t i = 0; i < ids.size(); ++i)
    EXPECT_EQ(changes[i].what, i == 3 ? JobChange::What::failed : JobChange::What::cancelled) << i;
  EXPECT_EQ(changes[3].problem, "another session has locked it");
}

TEST_F(AJobManager, KnowsInADryRunWhatEarlierBatchesWouldHaveDone) {
  const JobId first = deferred_and_failed(with_queueing_lock("plates"));
  const JobId last = deferred_and_failed(with_queueing_lock("plates"));
  EXPECT_EQ(only(set.retry({first}, {}, false, true)).what, JobChange::What::retried);
  const JobChange change = only(set.retry({last}, {}, false, true));
  EXPECT_EQ(change.what, JobChange::What::superseded);
  EXPECT_EQ(change.by, first);
}

// A foreign key of the application holds one of them.
TEST_F(AJobManager, PurgesAllJobsOfABatchButTheOneThatIsHeld) {
  std::vector<JobId> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(deferred_and_failed(request_of("t")));
  database.execute(
      "CREATE TABLE orders (job_id bigint REFERENCES procrastinate_jobs (id)); INSERT INTO orders VALUES (" +
      std::to_string(ids[2]) +
      "); UPDATE procrastinate_events SET at = now() - interval '1 day';"
      "INSERT INTO procrastinate_events (job_id, type, at) VALUES (" +
      std::to_string(ids[4]) + ", 'deferred', 'infinity')");
  Purge purge = Purge::begin(options_for(database), {.older_than = 60s, .statuses = {JobStatus::failed}});
  while (purge.step()) {
  }
  EXPECT_EQ(purge.deleted().at(JobStatus::failed), 4);
  EXPECT_THAT(ids_of(manager.list({})), ElementsAre(ids[2]));
}

}  // namespace
}  // namespace postpone::sql
