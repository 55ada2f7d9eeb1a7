// Leases, rescues and what else a housekeeper asks for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sql/job_manager.h"
#include "tests/integration/job_manager_fixture.h"
#include "tests/support/database.h"

namespace postpone::sql {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;
using tests::Schema;
using tests::TestDatabase;

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

// A trigger of the application sees how far the rehearsals come: they change no row, on their way.
TEST_F(AJobManager, RehearsesRunsAndRescuesWithoutTouchingAJob) {
  manager.defer({request_of("waits"), request_of("runs")});
  fetch(1);
  database.execute(
      "CREATE TABLE changes (rows bigint);"
      "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
      "  INSERT INTO changes SELECT count(*) FROM changed; RETURN NULL; END $$;"
      "CREATE TRIGGER note AFTER UPDATE ON procrastinate_jobs REFERENCING NEW TABLE AS changed "
      "FOR EACH STATEMENT EXECUTE FUNCTION note()");
  const std::string all =
      "SELECT json_agg(j ORDER BY id) || (SELECT json_agg(e ORDER BY id)::text FROM procrastinate_events e) "
      "|| (SELECT json_agg(w ORDER BY id)::text FROM procrastinate_workers w) FROM procrastinate_jobs j";
  const std::string before = database.execute(all);
  manager.rehearse_run();
  EXPECT_EQ(database.execute("SELECT count(*) || ' ' || sum(rows) FROM changes"), "3 0");
  manager.rehearse_rescue();
  EXPECT_EQ(database.execute("SELECT count(*) || ' ' || sum(rows) FROM changes"), "4 0");
  EXPECT_EQ(database.execute(all), before);
}

// Where the request is kept, the commit does not wait for the disk; all other commits do.
TEST_F(AJobManager, WaitsForTheDiskWhenItIsToldTo) {
  manager.defer({request_of("runs")});
  database.execute(
      "CREATE TABLE waits (setting text);"
      "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
      "  INSERT INTO waits VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;"
      "CREATE TRIGGER note AFTER DELETE ON procrastinate_workers FOR EACH ROW EXECUTE FUNCTION note()");
  fetch(1);
  RescueRequest rescue;
  rescue.worker_id = worker;
  rescue.is_kept = true;
  EXPECT_THAT(manager.rescue_worker(rescue), SizeIs(1));
  const std::string committed = database.execute("SELECT pg_current_wal_insert_lsn()");
  manager.flush();
  EXPECT_EQ(database.execute("SELECT pg_current_wal_flush_lsn() >= '" + committed + "'"), "t");
  rescue.worker_id = std::stoll(database.execute("SELECT worker_id FROM procrastinate_register_worker_v1()"));
  rescue.is_kept = false;
  manager.rescue_worker(rescue);
  EXPECT_EQ(database.execute("SELECT string_agg(setting, ' ') FROM waits"), "off on");
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
