#include "sql/job_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "sql/job_set.h"
#include "sql/purge.h"
#include "tests/support/database.h"

namespace postpone::sql {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;
using testing::UnorderedElementsAre;
using tests::Schema;
using tests::TestDatabase;

ConnectOptions options_for(const TestDatabase& database) {
  ConnectOptions options;
  options.url = database.url();
  options.application_name = "job manager test";
  return options;
}

template <class Work>
DatabaseError error_of(Work work) {
  try {
    work();
  } catch (const DatabaseError& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return {Remedy::bug, ""};
}

DeferRequest request_of(const std::string& task) {
  DeferRequest request;
  request.task = task;
  return request;
}

DeferRequest with_lock(const std::string& lock) {
  DeferRequest request = request_of("t");
  request.lock = lock;
  return request;
}

DeferRequest with_queueing_lock(const std::string& lock) {
  DeferRequest request = request_of("t");
  request.queueing_lock = lock;
  return request;
}

Outcome outcome_of(const Job& job, Action action) {
  Outcome outcome;
  outcome.job_id = job.id;
  outcome.attempt = job.attempts + 1;
  outcome.action = action;
  outcome.cause = action == Action::succeed ? Cause::succeeded : Cause::exception;
  return outcome;
}

SetChange only(const std::vector<SetChange>& changes) {
  EXPECT_THAT(changes, SizeIs(1));
  return changes.at(0);
}

std::vector<JobId> ids_of(const std::vector<Job>& jobs) {
  std::vector<JobId> ids(jobs.size());
  std::transform(jobs.begin(), jobs.end(), ids.begin(), [](const Job& job) { return job.id; });
  return ids;
}

class AJobManager : public testing::Test {
 protected:
  JobId defer(const DeferRequest& request) { return manager.defer({request}).at(0); }
  Job job(JobId id) { return manager.list({.id = id}).at(0); }

  std::vector<Job> fetch(int max_jobs = 1, std::vector<std::string> queues = {}) {
    return fetch_with_more(max_jobs, std::move(queues)).jobs;
  }
  Fetched fetch_with_more(int max_jobs, std::vector<std::string> queues = {}) {
    return manager.finish_and_fetch(worker, {}, {std::move(queues), worker, max_jobs}).fetched;
  }
  Job fetch_one() {
    const std::vector<Job> jobs = fetch();
    EXPECT_THAT(jobs, SizeIs(1));
    return jobs.at(0);
  }
  std::vector<Recorded> finish(const std::vector<Outcome>& outcomes) {
    OutcomeTexts texts;
    for (const Outcome& outcome : outcomes) texts.push_back(to_json(outcome));
    return manager.finish_and_fetch(worker, texts, {.worker_id = worker, .max_jobs = 0}).recorded;
  }
  Recorded finish(const Outcome& outcome) { return finish(std::vector<Outcome>{outcome}).at(0); }
  JobId deferred_and_failed(const DeferRequest& request) {
    const JobId id = defer(request);
    finish(outcome_of(fetch_one(), Action::fail));
    return id;
  }

  const TestDatabase database;
  JobManager manager = JobManager::connect(options_for(database));
  JobSet set = JobSet::connect(options_for(database));
  const WorkerId worker = manager.register_worker({"s:1:0", "host", "kitchen/1", 4711});
};

// --- defer ---

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
  tick.periodic_id = "another";
  EXPECT_TRUE(manager.defer_periodic(tick));
}

// --- cancel and retry ---

TEST_F(AJobManager, CancelsAWaitingJob) {
  const JobId id = defer(request_of("t"));
  EXPECT_EQ(only(set.cancel({id}, false, false, false)).what, SetChange::What::cancelled);
  EXPECT_EQ(job(id).status, JobStatus::cancelled);
  EXPECT_EQ(only(set.cancel({id}, true, false, false)).what, SetChange::What::refused)
      << "it does not wait any more";
  EXPECT_EQ(only(set.cancel({987654321}, true, true, false)).what, SetChange::What::not_found);
}

TEST_F(AJobManager, DeletesAWaitingJob) {
  const JobId id = defer(request_of("t"));
  EXPECT_EQ(only(set.cancel({id}, false, true, false)).what, SetChange::What::deleted);
  EXPECT_THAT(manager.list({.id = id}), IsEmpty());
}

TEST_F(AJobManager, AsksARunningJobToStop) {
  const JobId id = defer(request_of("t"));
  fetch_one();
  EXPECT_EQ(only(set.cancel({id}, false, false, false)).what, SetChange::What::refused);
  EXPECT_THAT(manager.jobs_to_stop({{worker, id}}), IsEmpty());
  EXPECT_EQ(only(set.cancel({id}, true, false, false)).what, SetChange::What::abort_requested);
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
  const SetChange change = only(set.retry({id}, options, false, false));
  EXPECT_EQ(change.id, id);
  EXPECT_EQ(change.what, SetChange::What::retried);
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
  const SetChange change = only(set.retry({id}, {}, false, false));
  EXPECT_EQ(change.what, SetChange::What::superseded);
  EXPECT_EQ(change.by, waiting);
  EXPECT_EQ(job(id).status, JobStatus::failed);
}

TEST_F(AJobManager, RetriesNothingThatIsNotThere) {
  EXPECT_EQ(only(set.retry({987654321}, {}, false, false)).what, SetChange::What::not_found);
}

// The job has been fetched between the look at it and the change.
TEST_F(AJobManager, LeavesAJobThatHasBegunToRunMeanwhile) {
  const JobId id = deferred_and_failed(request_of("t"));
  database.execute("BEGIN");
  database.execute("UPDATE procrastinate_jobs SET status = 'todo' WHERE id = " + std::to_string(id));
  database.execute("SELECT postpone_fetch_jobs(NULL, " + std::to_string(worker) + ", 1)");
  auto change = std::async(std::launch::async, [&] { return only(set.retry({id}, {}, false, false)); });
  while (tests::execute(database.url(), "SELECT count(*) FROM pg_locks WHERE NOT granted") == "0")
    std::this_thread::sleep_for(1ms);
  database.execute("COMMIT");
  const SetChange refused = change.get();
  EXPECT_EQ(refused.what, SetChange::What::refused);
  EXPECT_EQ(refused.status, JobStatus::doing);
  EXPECT_EQ(job(id).worker_id, worker);
}

TEST_F(AJobManager, ChangesAllJobsOfASetButThatWhichAnotherSessionHasLocked) {
  std::vector<JobId> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(defer(request_of("t")));
  database.execute("BEGIN");
  database.execute("SELECT id FROM procrastinate_jobs WHERE id = " + std::to_string(ids[3]) + " FOR UPDATE");
  const std::vector<SetChange> changes = set.cancel(ids, false, false, false);
  database.execute("ROLLBACK");
  for (std::size_t i = 0; i < ids.size(); ++i)
    EXPECT_EQ(changes[i].what, i == 3 ? SetChange::What::failed : SetChange::What::cancelled) << i;
  EXPECT_EQ(changes[3].problem, "another session has locked it");
}

TEST_F(AJobManager, KnowsInADryRunWhatEarlierBatchesWouldHaveDone) {
  const JobId first = deferred_and_failed(with_queueing_lock("plates"));
  const JobId last = deferred_and_failed(with_queueing_lock("plates"));
  EXPECT_EQ(only(set.retry({first}, {}, false, true)).what, SetChange::What::retried);
  const SetChange change = only(set.retry({last}, {}, false, true));
  EXPECT_EQ(change.what, SetChange::What::superseded);
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

// --- looking ---

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

// --- fetch and finish ---

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
  const auto done = manager.finish_and_fetch(worker, {to_json(outcome_of(first, Action::succeed))},
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
    manager.finish_and_fetch(worker, {to_json(outcome_of(first, Action::succeed))},
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

// --- workers and housekeeping ---

TEST_F(AJobManager, BeatsForAllItsWorkersAtOnce) {
  const WorkerId second = manager.register_worker({"s:1:0", "host", "kitchen/2", 4712});
  EXPECT_NE(second, worker);
  database.execute("update procrastinate_workers set last_heartbeat = now() - interval '1 hour'");
  EXPECT_THAT(manager.stalled_workers(60s, false), ElementsAre(worker, second));
  const Heartbeats heartbeats = manager.heartbeat({worker, second, 987654321});
  EXPECT_THAT(heartbeats.stored, ElementsAre(worker, second));
  EXPECT_THAT(heartbeats.locked, IsEmpty());
  EXPECT_THAT(heartbeats.gone, ElementsAre(987654321));
  EXPECT_THAT(manager.stalled_workers(60s, false), IsEmpty());
  manager.unregister_worker(second);
  EXPECT_THAT(manager.heartbeat({worker, second}).stored, ElementsAre(worker));
  EXPECT_THAT(manager.heartbeat({}).stored, IsEmpty());
}

TEST_F(AJobManager, OneLockedLeaseKeepsNoOtherFromItsHeartbeat) {
  const WorkerId second = manager.register_worker({"s:1:0", "host", "kitchen/2", 4712});
  JobManager other = JobManager::connect(options_for(database));
  other.begin();
  RescueRequest rescue;  // finds nothing to do, and keeps the row locked until it commits
  rescue.worker_id = second;
  rescue.silent_for = 0s;
  other.rescue_worker(rescue);
  const Heartbeats heartbeats = manager.heartbeat({second, worker});
  EXPECT_THAT(heartbeats.stored, ElementsAre(worker));
  EXPECT_THAT(heartbeats.locked, ElementsAre(second));
  EXPECT_THAT(heartbeats.gone, IsEmpty());
  other.commit();
  EXPECT_THAT(manager.heartbeat({second, worker}).gone, ElementsAre(second));
}

TEST_F(AJobManager, TellsPythonsWorkersFromItsOwn) {
  database.execute("select procrastinate_register_worker_v1()");
  database.execute("update procrastinate_workers set last_heartbeat = now() - interval '1 hour'");
  EXPECT_THAT(manager.stalled_workers(60s, false), ElementsAre(worker));
  EXPECT_THAT(manager.stalled_workers(60s, true), SizeIs(2));
}

TEST_F(AJobManager, RescuesADeadWorkersJobs) {
  manager.defer({request_of("ended"), request_of("running"), request_of("not started")});
  const std::vector<Job> jobs = fetch(3);
  ASSERT_THAT(jobs, SizeIs(3));
  RescueRequest rescue;
  rescue.worker_id = worker;
  rescue.outcomes = {to_json(outcome_of(jobs[0], Action::succeed))};
  rescue.running = {jobs[1].id};
  rescue.message = "sub-worker kitchen/1: signal 9 \xFF";
  EXPECT_THAT(manager.rescue_worker(rescue), SizeIs(3));
  EXPECT_EQ(job(jobs[0].id).status, JobStatus::succeeded);
  EXPECT_EQ(job(jobs[1].id).status, JobStatus::todo);
  EXPECT_EQ(job(jobs[1].id).attempts, 1);
  EXPECT_EQ(job(jobs[2].id).status, JobStatus::todo);
  EXPECT_EQ(job(jobs[2].id).attempts, 0);
  const std::vector<Attempt> lost = manager.attempts(jobs[1].id);
  ASSERT_THAT(lost, SizeIs(1));
  EXPECT_EQ(lost[0].cause, Cause::worker_lost);
  EXPECT_EQ(lost[0].message, "sub-worker kitchen/1: signal 9 \uFFFD");
  EXPECT_THAT(manager.heartbeat({worker}).gone, ElementsAre(worker));
  EXPECT_THAT(manager.rescue_worker(rescue), IsEmpty()) << "somebody was faster";
}

TEST_F(AJobManager, FailsOrReportsARunningJobOfADeadWorker) {
  for (const StalledAction action : {StalledAction::fail, StalledAction::report}) {
    const WorkerId dead = manager.register_worker({"s:1:0", "host", "kitchen/9", 1});
    const JobId id = defer(request_of("t"));
    manager.finish_and_fetch(dead, {}, {.worker_id = dead, .max_jobs = 1});
    RescueRequest rescue;
    rescue.worker_id = dead;
    rescue.action = action;
    manager.rescue_worker(rescue);
    EXPECT_EQ(job(id).status, action == StalledAction::fail ? JobStatus::failed : JobStatus::doing);
    EXPECT_EQ(job(id).worker_id, std::nullopt);
  }
}

TEST_F(AJobManager, KnowsWhenTheNextJobBecomesDue) {
  EXPECT_EQ(manager.next_due(std::nullopt), std::nullopt);
  DeferRequest later = request_of("t");
  later.scheduled_at = manager.server_time() + 2h;
  later.queue = "kitchen";
  DeferRequest same_time = later;
  same_time.queue = "bar";
  DeferRequest much_later = later;
  *much_later.scheduled_at += 24h;
  manager.defer({much_later, later, same_time, request_of("now")});

  const auto next = manager.next_due(std::nullopt);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->due_at, std::chrono::floor<std::chrono::microseconds>(*later.scheduled_at));
  EXPECT_GT(next->due_in, 1h);
  EXPECT_LE(next->due_in, 2h);
  EXPECT_THAT(next->queues, UnorderedElementsAre("kitchen", "bar"));
  const auto after_that = manager.next_due(next->due_at);
  ASSERT_TRUE(after_that);
  EXPECT_THAT(after_that->queues, ElementsAre("kitchen"));
  EXPECT_EQ(manager.next_due(after_that->due_at), std::nullopt);
}

TEST_F(AJobManager, WithoutTheSchemaSaysWhatToRun) {
  const TestDatabase empty(Schema::none);
  JobManager stranger = JobManager::connect(options_for(empty));
  for (const auto& error :
       {error_of([&] { stranger.list({}); }), error_of([&] { stranger.defer({request_of("t")}); }),
        error_of([&] { stranger.heartbeat({1}); })}) {
    EXPECT_EQ(error.remedy(), Remedy::bug);
    EXPECT_THAT(error.what(), HasSubstr("run: postpone schema apply"));
  }
}

TEST_F(AJobManager, AJobThatIsTriedAgainDoesNotHideOneThatHasWaitedLonger) {
  DeferRequest request = request_of("t");
  request.queue = "q";
  const JobId tried = defer(request);
  const JobId waits = defer(request);
  const JobId due = defer(request);
  database.execute("UPDATE procrastinate_events SET at = now() - interval '1 hour' WHERE job_id = " +
                   std::to_string(waits));
  database.execute("UPDATE procrastinate_jobs SET attempts = 1 WHERE id = " + std::to_string(tried));
  const auto oldest = [&] { return manager.queue_depths(10, 10s).queues.at(0).oldest.value(); };
  EXPECT_NEAR(oldest().count(), 3600, 300);
  database.execute("UPDATE procrastinate_events SET at = now() - interval '5 hours' WHERE job_id = " +
                   std::to_string(due));
  database.execute("UPDATE procrastinate_jobs SET scheduled_at = now() - interval '2 hours' WHERE id = " +
                   std::to_string(due));
  EXPECT_NEAR(oldest().count(), 7200, 300);
  EXPECT_EQ(manager.queue_depths(10, 10s).queues.at(0).ready, 3);
}

}  // namespace
}  // namespace postpone::sql
