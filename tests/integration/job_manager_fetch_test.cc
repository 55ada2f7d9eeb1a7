// JobManager::finish_and_fetch().
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
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(AJobManager, FetchesByPriorityThenId) {
  DeferRequest urgent = request_of("urgent");
  urgent.priority = 1;
  const JobId first = defer(request_of("a"));
  const JobId second = defer(request_of("b"));
  const JobId before_them = defer(urgent);
  const std::vector<Job> jobs = fetch(10);
  EXPECT_THAT(ids_of(jobs), ElementsAre(before_them, first, second));
  for (const Job& one : jobs) {
    EXPECT_EQ(one.status, JobStatus::doing);
    EXPECT_EQ(one.worker_id, worker);
  }
}

TEST_F(AJobManager, FetchesFromItsQueuesOnly) {
  DeferRequest kitchen = request_of("t");
  kitchen.queue = "kitchen";
  defer(request_of("t"));
  const JobId id = defer(kitchen);
  EXPECT_THAT(ids_of(fetch(10, {"bar", "kitchen"})), ElementsAre(id));
  EXPECT_THAT(fetch(10, {"bar", "kitchen"}), IsEmpty());
  EXPECT_THAT(fetch(10), SizeIs(1));
}

TEST_F(AJobManager, SaysWhetherThereIsMore) {
  manager.defer({request_of("a"), request_of("b"), request_of("c")});
  const Fetched some = fetch_with_more(2);
  EXPECT_THAT(some.jobs, SizeIs(2));
  EXPECT_TRUE(some.more);
  const Fetched rest = fetch_with_more(2);
  EXPECT_THAT(rest.jobs, SizeIs(1));
  EXPECT_FALSE(rest.more);
  const Fetched none = fetch_with_more(2);
  EXPECT_THAT(none.jobs, IsEmpty());
  EXPECT_FALSE(none.more);
}

TEST_F(AJobManager, FinishesAndFetchesTheSuccessorOfTheLockAtOnce) {
  const std::vector<JobId> ids = manager.defer({with_lock("sink"), with_lock("sink")});
  const Job first = fetch_one();
  EXPECT_THAT(fetch(10), IsEmpty()) << "the lock is busy";
  const auto done =
      manager.finish_and_fetch(worker, {.outcomes = {to_json(outcome_of(first, Action::succeed))}},
                               {.worker_id = worker, .max_jobs = 1});
  ASSERT_THAT(done.recorded, SizeIs(1));
  EXPECT_EQ(done.recorded[0].status, JobStatus::succeeded);
  EXPECT_THAT(ids_of(done.fetched.jobs), ElementsAre(ids[1]));
}

TEST_F(AJobManager, FinishesNothingWhenTheFetchFails) {
  manager.defer({request_of("a"), request_of("b")});
  const Job first = fetch_one();
  const WorkerId nobody = worker + 1000;
  const auto error = error_of([&] {
    manager.finish_and_fetch(worker, {.outcomes = {to_json(outcome_of(first, Action::succeed))}},
                             {.worker_id = nobody, .max_jobs = 1});
  });
  EXPECT_EQ(error.sqlstate(), "23503") << "the lease of a fetch is a foreign key";
  EXPECT_EQ(job(first.id).status, JobStatus::doing) << "one transaction";
}

TEST_F(AJobManager, AsksTheServerNothingWhenThereIsNothingToDo) {
  database.execute(
      "select pg_terminate_backend(pid, 30000) from pg_stat_activity"
      " where datname = current_database() and application_name = 'job manager test'");
  const auto done = manager.finish_and_fetch(worker, {}, {.worker_id = worker, .max_jobs = 0});
  EXPECT_THAT(done.recorded, IsEmpty());
  EXPECT_THAT(done.fetched.jobs, IsEmpty());
}

TEST_F(AJobManager, RecordsOutcomesInTheirOrder) {
  manager.defer({request_of("a"), request_of("b"), request_of("c"), request_of("d"), request_of("e")});
  const std::vector<Job> jobs = fetch(5);
  ASSERT_THAT(jobs, SizeIs(5));
  Outcome deleted = outcome_of(jobs[4], Action::succeed);
  deleted.delete_job = true;
  const auto recorded =
      finish({outcome_of(jobs[3], Action::release), outcome_of(jobs[2], Action::abort),
              outcome_of(jobs[1], Action::fail), outcome_of(jobs[0], Action::succeed), deleted});
  ASSERT_THAT(recorded, SizeIs(5));
  const JobStatus expected[] = {JobStatus::todo, JobStatus::aborted, JobStatus::failed, JobStatus::succeeded};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(recorded[i].job_id, jobs[3 - i].id);
    EXPECT_EQ(recorded[i].disposition, Disposition::recorded);
    EXPECT_EQ(recorded[i].status, expected[i]);
    EXPECT_EQ(job(recorded[i].job_id).status, expected[i]);
  }
  EXPECT_EQ(job(jobs[3].id).attempts, 0) << "a released job was not tried";
  EXPECT_EQ(job(jobs[0].id).attempts, 1);
  EXPECT_EQ(recorded[4].disposition, Disposition::recorded);
  EXPECT_THAT(manager.list({.id = jobs[4].id}), IsEmpty());
}

TEST_F(AJobManager, RetriesWithTheChangesOfTheOutcome) {
  defer(request_of("t"));
  Outcome outcome = outcome_of(fetch_one(), Action::retry);
  outcome.retry_in = 3600s;
  outcome.new_priority = 7;
  outcome.new_queue = "slow";
  outcome.new_lock = "sink";
  EXPECT_EQ(finish(outcome).status, JobStatus::todo);
  const Job waiting = job(outcome.job_id);
  EXPECT_EQ(waiting.attempts, 1);
  EXPECT_EQ(waiting.priority, 7);
  EXPECT_EQ(waiting.queue, "slow");
  EXPECT_EQ(waiting.lock, "sink");
  EXPECT_GT(*waiting.scheduled_at, manager.server_time() + 50min);
  EXPECT_THAT(fetch(), IsEmpty());
}

TEST_F(AJobManager, SaysWhatCameOfALateOutcome) {
  defer(request_of("t"));
  const Outcome outcome = outcome_of(fetch_one(), Action::succeed);
  EXPECT_EQ(finish(outcome).disposition, Disposition::recorded);
  EXPECT_EQ(finish(outcome).disposition, Disposition::already_recorded);
  Outcome stranger = outcome;
  stranger.job_id = 987654321;
  EXPECT_EQ(finish(stranger).disposition, Disposition::gone);
}

TEST_F(AJobManager, SupersedesARetryWhoseQueueingLockIsTaken) {
  defer(with_queueing_lock("plates"));
  const Outcome outcome = outcome_of(fetch_one(), Action::retry);
  const JobId waiting = defer(with_queueing_lock("plates"));
  const Recorded recorded = finish(outcome);
  EXPECT_EQ(recorded.disposition, Disposition::superseded);
  EXPECT_EQ(recorded.by, waiting);
  EXPECT_EQ(recorded.status, JobStatus::failed);
  EXPECT_EQ(manager.attempts(outcome.job_id).at(0).cause, Cause::superseded);
}

TEST_F(AJobManager, CreatesWhatAHandlerDeferredWithItsSuccess) {
  defer(request_of("t"));
  Outcome outcome = outcome_of(fetch_one(), Action::succeed);
  outcome.defers = {request_of("mail.send"), request_of("mail.count")};
  outcome.defers[0].args = R"({"to": "you\u0000"})";
  outcome.defers[0].queue = "mail";
  outcome.defers[0].scheduled_in = 3600s;
  finish(outcome);
  const std::vector<Job> sent = manager.list({.task = "mail.send"});
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_EQ(json::parse(sent[0].args)["to"], "you\uFFFD");
  EXPECT_EQ(sent[0].queue, "mail");
  EXPECT_GT(*sent[0].scheduled_at, manager.server_time() + 50min);
  EXPECT_THAT(manager.list({.task = "mail.count"}), SizeIs(1));
}

}  // namespace
}  // namespace postpone::sql
