// What an unmodified Procrastinate 3.9 client sends, as psycopg sends it: server-side parameters that are
// declared smallint, bigint, jsonb or nothing at all, each statement in a transaction of its own. And what it
// must get back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/integration/session.h"
#include "tests/support/database.h"

namespace postpone::tests {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const std::string any_queue = "procrastinate_any_queue_v1";

// An array of procrastinate_job_to_defer_v1 in text form, each job given by its fields.
std::string jobs(const std::vector<std::string>& rows) {
  std::string array;
  for (const std::string& fields : rows) {
    array += array.empty() ? "\"(" : ",\"(";
    for (const char c : fields) {
      if (c == '"') array += '\\';
      array += c;
    }
    array += ")\"";
  }
  return "{" + array + "}";
}

// The statements of its client, in the order of a job's life. All take effect in a transaction, as psycopg
// opens one.
class PythonClient : public ::testing::Test {
 protected:
  Values send(const std::string& sql, const std::vector<Param>& params = {}) {
    session.rows("BEGIN");
    try {
      Values values = session.rows(sql, params);
      session.rows("COMMIT");
      return values;
    } catch (const SqlError&) {
      session.rows("ROLLBACK");
      throw;
    }
  }
  std::string one(const std::string& sql, const std::vector<Param>& params = {}) {
    const Values values = send(sql, params);
    return values.size() == 1 ? values[0] : "rows: " + std::to_string(values.size());
  }

  Values defer(const std::string& jobs) {
    return send("SELECT unnest(procrastinate_defer_jobs_v1($1::procrastinate_job_to_defer_v1[])) AS id",
                {untyped(jobs)});
  }
  std::string register_worker() { return one("SELECT * FROM procrastinate_register_worker_v1()"); }
  std::string fetch(const Param& queues, const Param& worker) {
    return one(
        "SELECT id, status, task_name, priority, lock, queueing_lock, args, scheduled_at, queue_name, "
        "attempts, "
        "worker_id FROM procrastinate_fetch_job_v2($1::varchar[], $2)",
        {queues, worker});
  }
  void finish(const Param& job, const std::string& status, bool delete_job = false) {
    send("SELECT procrastinate_finish_job_v1($1, $2, $3)", {job, untyped(status), boolean(delete_job)});
  }
  std::string cancel(const Param& job, bool abort, bool delete_job) {
    return one("SELECT procrastinate_cancel_job_v1($1, $2, $3) AS id",
               {job, boolean(abort), boolean(delete_job)});
  }
  void retry(const Param& job, const Param& priority = null(), const Param& queue = null(),
             const Param& lock = null()) {
    send("SELECT procrastinate_retry_job_v2($1, $2, $3, $4, $5)",
         {job, {"2024-01-01 00:00:00+00", 1184}, priority, queue, lock});
  }
  std::string job(const std::string& id,
                  const std::string& columns = "status, attempts, abort_requested, worker_id") {
    return one("SELECT " + columns + " FROM procrastinate_jobs WHERE id = " + id);
  }
  Values events(const std::string& id) {
    return send("SELECT type FROM procrastinate_events WHERE job_id = " + id + " ORDER BY id");
  }
  SqlError error_of(const std::string& sql, const std::vector<Param>& params = {}) {
    try {
      send(sql, params);
    } catch (const SqlError& error) {
      return error;
    }
    throw std::runtime_error("no error: " + sql);
  }

  const TestDatabase database;
  Session session{database};
};

// --- defer ---

TEST_F(PythonClient, DefersManyInTheOrderGiven) {
  EXPECT_THAT(
      defer(jobs({"q1,app.a,3,l,,\"{\"\"x\"\": 1}\",", "q2,app.b,0,,once,{},2030-01-01 00:00:00+00"})),
      ElementsAre("1", "2"));
  EXPECT_EQ(
      job("1", "queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts"),
      "q1|app.a|3|l|∅|{\"x\": 1}|todo|∅|0");
  EXPECT_EQ(job("2", "queue_name, queueing_lock, scheduled_at = '2030-01-01 00:00:00+00'"), "q2|once|t");
  EXPECT_THAT(events("2"), ElementsAre("deferred", "scheduled"));
}

TEST_F(PythonClient, DefersNothingForAnEmptyArray) {
  EXPECT_THAT(defer("{}"), IsEmpty());
  EXPECT_EQ(one("SELECT procrastinate_defer_jobs_v1($1::procrastinate_job_to_defer_v1[])", {untyped("{}")}),
            "∅");
}

TEST_F(PythonClient, IsToldOfAQueueingLockByConstraintAndDetail) {
  defer(jobs({"q,app.a,0,,once,{},"}));
  const SqlError error = error_of("SELECT procrastinate_defer_jobs_v1($1::procrastinate_job_to_defer_v1[])",
                                  {untyped(jobs({"q,app.b,0,,,{},", "q,app.a,0,,once,{},"}))});
  EXPECT_EQ(error.sqlstate, "23505");
  EXPECT_EQ(error.constraint, "procrastinate_jobs_queueing_lock_idx_v1");
  EXPECT_EQ(error.detail, "Key (queueing_lock)=(once) already exists.");
  EXPECT_EQ(one("SELECT count(*) FROM procrastinate_jobs"), "1");
}

TEST_F(PythonClient, DefersToAQueueWithALongName) {
  const std::string name(128, 'q');
  session.rows("LISTEN " + any_queue);
  EXPECT_THAT(defer(jobs({name + ",app.a,0,,,{},"})), ElementsAre("1"));
  const std::vector<Note> notes = session.notes();
  ASSERT_THAT(notes, SizeIs(1));
  EXPECT_EQ(notes[0].channel, any_queue);
  EXPECT_THAT(notes[0].payload, HasSubstr(R"("type":"job_inserted")"));
}

TEST_F(PythonClient, DefersAPeriodicJobOnce) {
  const auto tick = [&](int timestamp) {
    return one("SELECT procrastinate_defer_periodic_job_v2($1, $2, $3, $4, $5, $6, $7, $8) AS id",
               {untyped("q"), null(), null(), untyped("app.sweep"), smallint(2), untyped(""),
                integer(timestamp), jsonb("{\"timestamp\": 1700000000}")});
  };
  EXPECT_EQ(tick(1700000000), "1");
  EXPECT_EQ(tick(1700000000), "∅");
  EXPECT_EQ(tick(1700000060), "2");
  EXPECT_THAT(send("SELECT defer_timestamp, job_id FROM procrastinate_periodic_defers"),
              ElementsAre("1700000060|2"));
  EXPECT_EQ(job("1", "priority, args"), "2|{\"timestamp\": 1700000000}");
}

TEST_F(PythonClient, PeriodicJobKeepsItsTickFreeWhenItIsAlreadyEnqueued) {
  const std::vector<Param> tick = {untyped("q"), null(),      untyped("once"),     untyped("app.sweep"),
                                   smallint(0),  untyped(""), integer(1700000000), jsonb("{}")};
  const std::string statement =
      "SELECT procrastinate_defer_periodic_job_v2($1, $2, $3, $4, $5, $6, $7, $8) AS id";
  defer(jobs({"q,app.sweep,0,,once,{},"}));
  EXPECT_EQ(error_of(statement, tick).constraint, "procrastinate_jobs_queueing_lock_idx_v1");
  session.rows("UPDATE procrastinate_jobs SET status = 'cancelled'");
  EXPECT_NE(one(statement, tick), "∅");
}

// --- fetch, finish ---

TEST_F(PythonClient, FetchesARowOfNullsWhenThereIsNothing) {
  register_worker();
  EXPECT_EQ(fetch(null(), smallint(1)), "∅|∅|∅|∅|∅|∅|∅|∅|∅|∅|∅");
}

TEST_F(PythonClient, FetchesWithEveryTypeOfParameter) {
  register_worker();
  for (const Param& worker : {smallint(1), integer(1), bigint(1), untyped("1")}) {
    for (const Param& queues :
         {null(), untyped("{q}"), untyped("{other,q}"), Param{"{q}", 1015}, Param{"{q}", 1009}}) {
      const std::string id = defer(jobs({"q,app.a,0,,,{},"})).front();
      EXPECT_EQ(fetch(queues, worker), id + "|doing|app.a|0|∅|∅|{}|∅|q|0|1");
    }
  }
  defer(jobs({"q,app.a,0,,,{},"}));
  EXPECT_EQ(fetch(untyped("{r}"), smallint(1)), "∅|∅|∅|∅|∅|∅|∅|∅|∅|∅|∅");
}

TEST_F(PythonClient, SucceedsAndKeepsItsWorker) {
  register_worker();
  defer(jobs({"q,app.a,0,,,{},"}));
  fetch(null(), smallint(1));
  finish(smallint(1), "succeeded");
  EXPECT_EQ(job("1"), "succeeded|1|f|1");
  EXPECT_THAT(events("1"), ElementsAre("deferred", "started", "succeeded"));
}

TEST_F(PythonClient, FinishesFromTodoWithoutCountingAnAttempt) {
  defer(jobs({"q,app.a,0,,,{},"}));
  finish(bigint(1), "failed");
  EXPECT_EQ(job("1"), "failed|0|f|∅");
  EXPECT_THAT(events("1"), ElementsAre("deferred", "cancelled"));
}

TEST_F(PythonClient, FinishesAndDeletes) {
  register_worker();
  defer(jobs({"q,app.a,0,,,{},"}));
  fetch(null(), smallint(1));
  finish(smallint(1), "succeeded", true);
  EXPECT_EQ(one("SELECT count(*) FROM procrastinate_jobs"), "0");
  EXPECT_EQ(one("SELECT count(*) FROM procrastinate_events"), "0");
}

TEST_F(PythonClient, CannotFinishWhatIsNotRunning) {
  defer(jobs({"q,app.a,0,,,{},"}));
  finish(smallint(1), "aborted");
  for (const char* id : {"1", "99"}) {
    EXPECT_EQ(error_of("SELECT procrastinate_finish_job_v1($1, $2, $3)",
                       {untyped(id), untyped("succeeded"), boolean(false)})
                  .message,
              std::string("Job was not found or not in \"doing\" or \"todo\" status (job id: ") + id + ")");
  }
}

TEST_F(PythonClient, CannotFinishAsSomethingElse) {
  defer(jobs({"q,app.a,0,,,{},"}));
  for (const char* status : {"todo", "doing", "cancelled"}) {
    EXPECT_THAT(error_of("SELECT procrastinate_finish_job_v1($1, $2, $3)",
                         {smallint(1), untyped(status), boolean(false)})
                    .message,
                AllOf(HasSubstr(R"(End status should be either "succeeded", "failed" or "aborted")"),
                      HasSubstr("(job id: 1)")));
  }
  EXPECT_EQ(job("1"), "todo|0|f|∅");
}

// The column holds no greater number, and a job is no worse for having been tried so often.
TEST_F(PythonClient, CountsAttemptsUpToTheLastNumberAndStaysThere) {
  register_worker();
  defer(jobs({"q,app.a,0,,,{},"}));
  session.rows("UPDATE procrastinate_jobs SET status = 'doing', attempts = 2147483647, worker_id = 1");
  retry(smallint(1));
  EXPECT_EQ(job("1"), "todo|2147483647|f|1");
  fetch(null(), smallint(1));
  finish(smallint(1), "failed", false);
  EXPECT_EQ(job("1"), "failed|2147483647|f|1");
  retry(smallint(1));
  EXPECT_EQ(job("1"), "todo|2147483647|f|1");
}

// --- retry, cancel ---

TEST_F(PythonClient, RetriesWithNewPriorityQueueAndLock) {
  register_worker();
  defer(jobs({"q,app.a,0,,,{},"}));
  fetch(null(), smallint(1));
  retry(smallint(1), smallint(7), untyped("r"), untyped("l"));
  EXPECT_EQ(job("1", "status, attempts, priority, queue_name, lock, scheduled_at = '2024-01-01 00:00:00+00'"),
            "todo|1|7|r|l|t");
  EXPECT_THAT(events("1"), ElementsAre("deferred", "started", "deferred_for_retry", "scheduled"));
}

TEST_F(PythonClient, RetriesAFailedJob) {
  register_worker();
  defer(jobs({"q,app.a,4,l,,{},"}));
  fetch(null(), smallint(1));
  finish(smallint(1), "failed");
  retry(smallint(1));
  EXPECT_EQ(job("1", "status, attempts, priority, queue_name, lock"), "todo|2|4|q|l");
  EXPECT_THAT(events("1"), ElementsAre("deferred", "started", "failed", "retried", "scheduled"));
}

TEST_F(PythonClient, CannotRetryWhatHasNotFailed) {
  defer(jobs({"q,app.a,0,,,{},"}));
  const std::vector<Param> arguments = {
      smallint(1), {"2024-01-01 00:00:00+00", 1184}, null(), null(), null()};
  EXPECT_EQ(error_of("SELECT procrastinate_retry_job_v2($1, $2, $3, $4, $5)", arguments).message,
            "Job was not found or has an invalid status to retry (job id: 1)");
  session.rows("UPDATE procrastinate_jobs SET status = 'failed'");
  EXPECT_EQ(error_of("SELECT procrastinate_retry_job_v1($1, $2, $3, $4, $5)", arguments).message,
            "Job was not found or not in \"doing\" status (job id: 1)");
}

TEST_F(PythonClient, RetryOfAJobThatIsToStopFails) {
  register_worker();
  defer(jobs({"q,app.a,0,,,{},"}));
  fetch(null(), smallint(1));
  EXPECT_EQ(cancel(smallint(1), true, false), "1");
  retry(smallint(1));
  EXPECT_EQ(job("1"), "failed|1|f|1");
  EXPECT_THAT(events("1"), ElementsAre("deferred", "started", "abort_requested", "failed"));
}

TEST_F(PythonClient, RetryNeverMeetsAUniqueViolation) {
  register_worker();
  defer(jobs({"q,app.a,0,,once,{},"}));
  fetch(null(), smallint(1));
  defer(jobs({"q,app.a,0,,once,{},"}));
  retry(smallint(1));
  EXPECT_EQ(job("1"), "failed|1|f|1");
  EXPECT_EQ(
      one("SELECT cause, message, superseded_by FROM postpone_attempts WHERE job_id = 1 AND attempt = 1"),
      "superseded|superseded by job 2|2");
  retry(smallint(1));  // failed, and stays so
  EXPECT_EQ(job("1"), "failed|1|f|1");
}

TEST_F(PythonClient, CancelsWhatWaits) {
  defer(jobs({"q,app.a,0,,,{},", "q,app.b,0,,,{},"}));
  EXPECT_EQ(cancel(smallint(1), false, false), "1");
  EXPECT_EQ(cancel(integer(2), true, true), "2");
  EXPECT_EQ(cancel(bigint(1), true, false), "∅");
  EXPECT_EQ(cancel(bigint(99), true, false), "∅");
  EXPECT_EQ(job("1"), "cancelled|0|f|∅");
  EXPECT_THAT(events("1"), ElementsAre("deferred", "cancelled"));
  EXPECT_EQ(one("SELECT count(*) FROM procrastinate_jobs"), "1");
}

TEST_F(PythonClient, AbortsWhatRuns) {
  register_worker();
  defer(jobs({"q,app.a,0,,,{},"}));
  fetch(null(), smallint(1));
  EXPECT_EQ(cancel(smallint(1), false, false), "∅");
  session.rows("LISTEN " + any_queue + "; LISTEN \"procrastinate_queue_v1#q\"");
  EXPECT_EQ(cancel(smallint(1), true, true), "1");
  const std::string payload = R"({"type" : "abort_job_requested", "job_id" : 1})";
  EXPECT_THAT(session.notes(),
              ElementsAre(Note{"procrastinate_queue_v1#q", payload}, Note{any_queue, payload}));
  EXPECT_EQ(cancel(smallint(1), true, false), "1");  // asked again: the same answer, no second event
  EXPECT_THAT(session.notes(), IsEmpty());
  EXPECT_THAT(send("SELECT id from procrastinate_jobs WHERE status = 'doing' AND abort_requested = true AND "
                   "($1::varchar "
                   "IS NULL OR queue_name = $1)",
                   {null()}),
              ElementsAre("1"));
  finish(smallint(1), "aborted");
  EXPECT_EQ(job("1"), "aborted|1|f|1");
  EXPECT_THAT(events("1"), ElementsAre("deferred", "started", "abort_requested", "aborted"));
}

// --- workers ---

TEST_F(PythonClient, RegistersBeatsAndLeaves) {
  EXPECT_EQ(register_worker(), "1");
  session.rows("UPDATE procrastinate_workers SET last_heartbeat = 'epoch'");
  send("SELECT procrastinate_update_heartbeat_v1($1)", {smallint(1)});
  EXPECT_EQ(one("SELECT last_heartbeat = now() - interval '0' OR last_heartbeat > 'epoch' FROM "
                "procrastinate_workers"),
            "t");
  send("SELECT procrastinate_unregister_worker_v1($1)", {smallint(1)});
  EXPECT_EQ(one("SELECT count(*) FROM procrastinate_workers"), "0");
}

TEST_F(PythonClient, PrunesTheSilent) {
  register_worker();
  register_worker();
  defer(jobs({"q,app.a,0,,,{},"}));
  fetch(null(), smallint(2));
  session.rows("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute' WHERE id = 2");
  const std::string statement = "SELECT * FROM procrastinate_prune_stalled_workers_v1($1)";
  EXPECT_THAT(send(statement, {smallint(90)}), IsEmpty());
  EXPECT_THAT(send(statement, {Param{"30.5", 701}}), ElementsAre("2"));
  EXPECT_EQ(job("1"), "doing|0|f|∅");
}

TEST_F(PythonClient, LeavesThePruningOfOurWorkersToUs) {
  register_worker();
  one("SELECT postpone_register_worker('host:1', 'host', 'kitchen/1', 4711)");
  session.rows("UPDATE procrastinate_workers SET last_heartbeat = 'epoch'");
  EXPECT_THAT(send("SELECT * FROM procrastinate_prune_stalled_workers_v1($1)", {smallint(30)}),
              ElementsAre("1"));
  EXPECT_EQ(one("SELECT id FROM procrastinate_workers"), "2");
  EXPECT_THAT(send("SELECT * FROM postpone_stalled_workers(30, false)"), ElementsAre("2"));
}

TEST_F(PythonClient, FindsStalledJobs) {
  register_worker();
  defer(jobs({"q,app.a,0,,,{},", "q,app.a,0,,,{},"}));
  fetch(null(), smallint(1));
  fetch(null(), smallint(1));
  session.rows(
      "UPDATE procrastinate_jobs SET worker_id = NULL WHERE id = 1; UPDATE procrastinate_events SET at = at "
      "- "
      "interval '1 hour' WHERE job_id = 2");
  const std::string by_heartbeat =
      "WITH silent AS (SELECT id FROM procrastinate_workers WHERE last_heartbeat < NOW() - ($1 || ' "
      "SECOND')::INTERVAL) "
      "SELECT job.id FROM procrastinate_jobs job LEFT JOIN silent ON silent.id = job.worker_id WHERE "
      "job.status = 'doing' "
      "AND (job.worker_id IS NULL OR silent.id IS NOT NULL)";
  EXPECT_THAT(send(by_heartbeat, {smallint(30)}), ElementsAre("1"));
  const std::string by_started =
      "SELECT job.id, MAX(event.at) IS NULL FROM procrastinate_jobs job JOIN procrastinate_events event ON "
      "event.job_id = "
      "job.id WHERE event.type = 'started' AND job.status = 'doing' GROUP BY job.id HAVING MAX(event.at) < "
      "NOW() - ($1 || "
      "'SECOND')::INTERVAL";
  EXPECT_THAT(send(by_started, {smallint(60)}), ElementsAre("2|f"));
}

// --- inspection ---

TEST_F(PythonClient, ChecksTheConnection) {
  EXPECT_EQ(one("SELECT to_regclass('procrastinate_jobs') as check"), "procrastinate_jobs");
}

TEST_F(PythonClient, ListsAndCounts) {
  register_worker();
  defer(jobs({"q1,app.a,0,l,,{},", "q1,app.b,0,l,,{},", "q2,app.a,0,,,{},"}));
  fetch(null(), smallint(1));
  EXPECT_THAT(send("SELECT id FROM procrastinate_jobs WHERE ($1::bigint IS NULL OR id = $1) AND ($2::varchar "
                   "IS NULL OR "
                   "queue_name = $2) AND ($3::procrastinate_job_status IS NULL OR status = $3) AND "
                   "($4::bigint IS NULL OR "
                   "worker_id = $4) ORDER BY id ASC",
                   {null(), untyped("q1"), untyped("doing"), smallint(1)}),
              ElementsAre("1"));
  EXPECT_THAT(send("SELECT count(*) AS count, status FROM procrastinate_jobs GROUP BY status ORDER BY 1"),
              ElementsAre("1|doing", "2|todo"));
  EXPECT_THAT(send("WITH counts AS (SELECT queue_name, status, COUNT(*) AS jobs_count FROM "
                   "procrastinate_jobs GROUP BY 1, 2) "
                   "SELECT queue_name, sum(jobs_count), json_object_agg(status, jobs_count ORDER BY status) "
                   "FROM counts "
                   "GROUP BY 1 ORDER BY 1"),
              ElementsAre("q1|2|{ \"todo\" : 1, \"doing\" : 1 }", "q2|1|{ \"todo\" : 1 }"));
}

TEST_F(PythonClient, DeletesOldJobsByTheirLastEvent) {
  defer(jobs({"q,app.a,0,,,{},", "q,app.a,0,,,{},"}));
  finish(smallint(1), "succeeded");
  finish(smallint(2), "succeeded");
  session.rows("UPDATE procrastinate_events SET at = at - interval '3 hours' WHERE job_id = 1");
  send(
      "DELETE FROM procrastinate_jobs WHERE id IN (SELECT job.id FROM (SELECT DISTINCT ON (job.id) job.*, "
      "event.at AS "
      "latest_at FROM procrastinate_jobs job JOIN procrastinate_events event ON job.id = event.job_id ORDER "
      "BY job.id, "
      "event.at DESC) AS job WHERE job.status = ANY($1::procrastinate_job_status[]) AND ($2::varchar IS NULL "
      "OR "
      "job.queue_name = $2) AND latest_at < NOW() - ($3 || 'HOUR')::INTERVAL)",
      {untyped("{succeeded,failed}"), null(), smallint(2)});
  EXPECT_THAT(send("SELECT id FROM procrastinate_jobs"), ElementsAre("2"));
}

// Django's models read and write the tables by these names; `SELECT *` would also meet ours.
TEST_F(PythonClient, FindsTheColumnsByName) {
  send(
      "SELECT id, queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, "
      "attempts, "
      "abort_requested, worker_id FROM procrastinate_jobs");
  send("SELECT id, job_id, type, at FROM procrastinate_events");
  send("SELECT id, task_name, defer_timestamp, job_id, periodic_id FROM procrastinate_periodic_defers");
  send("SELECT id, last_heartbeat FROM procrastinate_workers");
}

TEST_F(PythonClient, KnowsEveryLabelOfTheStatus) {
  EXPECT_THAT(send("SELECT unnest(enum_range(NULL::procrastinate_job_status))"),
              ElementsAre("todo", "doing", "succeeded", "failed", "cancelled", "aborting", "aborted"));
  EXPECT_EQ(
      error_of(
          "INSERT INTO procrastinate_jobs (queue_name, task_name, abort_requested) VALUES ('q', 't', true)")
          .constraint,
      "check_not_todo_abort_requested");
}

TEST_F(PythonClient, MeetsNoOverloadedFunction) {
  EXPECT_THAT(
      send("SELECT proname FROM pg_proc WHERE proname ~ '^(procrastinate|postpone)_' GROUP BY proname HAVING "
           "count(*) > 1"),
      IsEmpty());
}

// --- raw SQL, as people do ---

TEST_F(PythonClient, SeesOneNotificationPerQueueAndStatement) {
  session.rows("LISTEN " + any_queue +
               "; LISTEN \"procrastinate_queue_v1#q1\"; LISTEN \"procrastinate_queue_v1#q2\"");
  defer(jobs({"q1,app.a,0,,,{},", "q1,app.a,0,,,{},", "q2,app.a,0,,,{},2090-01-01 00:00:00+00"}));
  const std::string first = R"({"type":"job_inserted","job_id":1,"queue":"q1","count":2})";
  const std::string second = R"({"type":"job_inserted","job_id":3,"queue":"q2","count":0,"scheduled":true})";
  EXPECT_THAT(session.notes(), ::testing::UnorderedElementsAre(
                                   Note{"procrastinate_queue_v1#q1", first}, Note{any_queue, first},
                                   Note{"procrastinate_queue_v1#q2", second}, Note{any_queue, second}));
}

TEST_F(PythonClient, DeletingJobsUnlinksTheirPeriodicRows) {
  one("SELECT procrastinate_defer_periodic_job_v2('q', NULL, NULL, 't', 0, '', 60, '{}')");
  session.rows("DELETE FROM procrastinate_jobs");
  EXPECT_EQ(one("SELECT job_id FROM procrastinate_periodic_defers"), "∅");
}

TEST_F(PythonClient, InsertOnConflictDoesNotAnnounceWhatItLeftOut) {
  defer(jobs({"q,app.a,0,,once,{},"}));
  session.rows("LISTEN " + any_queue);
  session.rows(
      "INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock) VALUES ('q', 't', 'once') ON "
      "CONFLICT "
      "(queueing_lock) WHERE status = 'todo' DO NOTHING");
  EXPECT_THAT(session.notes(), IsEmpty());
  EXPECT_EQ(one("SELECT count(*) FROM procrastinate_events"), "1");
}

// MERGE came with PostgreSQL 15; before, one statement does both like this.
TEST_F(PythonClient, OneStatementWritesEventsOfItsInsertsAndUpdates) {
  defer(jobs({"q,app.a,0,,,{},"}));
  session.rows(one("SHOW server_version_num") < "150000"
                   ? "WITH matched AS (UPDATE procrastinate_jobs SET status = 'cancelled' WHERE id = 1) "
                     "INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('q', 'app.b')"
                   : "MERGE INTO procrastinate_jobs AS job USING (VALUES (1), (2)) AS wanted (id) ON job.id "
                     "= wanted.id "
                     "WHEN MATCHED THEN UPDATE SET status = 'cancelled' "
                     "WHEN NOT MATCHED THEN INSERT (queue_name, task_name) VALUES ('q', 'app.b')");
  EXPECT_THAT(events("1"), ElementsAre("deferred", "cancelled"));
  EXPECT_THAT(events("2"), ElementsAre("deferred"));
}

TEST_F(PythonClient, WritesTheEventOfEveryChangeOfStatus) {
  struct Change {
    const char *from, *to, *event;
  };
  for (const auto& [from, to, event] : std::vector<Change>{{"todo", "doing", "started"},
                                                           {"doing", "todo", "deferred_for_retry"},
                                                           {"doing", "failed", "failed"},
                                                           {"doing", "succeeded", "succeeded"},
                                                           {"doing", "aborted", "aborted"},
                                                           {"todo", "cancelled", "cancelled"},
                                                           {"todo", "failed", "cancelled"},
                                                           {"todo", "succeeded", "cancelled"},
                                                           {"failed", "todo", "retried"}}) {
    const std::string id =
        one("INSERT INTO procrastinate_jobs (queue_name, task_name, status) VALUES ('q', 't', '" +
            std::string(from) + "') RETURNING id");
    const std::size_t before = events(id).size();
    send("UPDATE procrastinate_jobs SET status = '" + std::string(to) + "' WHERE id = " + id);
    const Values after = events(id);
    ASSERT_EQ(after.size(), before + 1) << from << " to " << to;
    EXPECT_EQ(after.back(), event) << from << " to " << to;
  }
}

}  // namespace
}  // namespace postpone::tests
