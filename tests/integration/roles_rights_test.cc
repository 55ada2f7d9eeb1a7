// What each role may do, and no more.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/integration/roles_story.h"
#include "tests/support/database.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"

namespace postpone::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST_F(Roles, TheWorkerCannotEraseHistoryOrChangeTheSchema) {
  sql("SELECT postpone_defer('t')");
  for (const std::string statement :
       {"UPDATE procrastinate_events SET at = now()", "DELETE FROM procrastinate_events",
        "DELETE FROM postpone_attempts", "TRUNCATE procrastinate_jobs",
        "INSERT INTO postpone_migrations VALUES (99, 'x')", "DROP TABLE procrastinate_jobs",
        "CREATE OR REPLACE FUNCTION postpone_notify(queue_name varchar, payload text) RETURNS void LANGUAGE "
        "sql AS ''"})
    EXPECT_THAT(attempt("worker", statement),
                testing::AnyOf(HasSubstr("permission denied"), HasSubstr("must be owner")))
        << statement;
}

TEST_F(Roles, TheClientDefersAndCanDoNoMore) {
  const auto deferred = cli({"defer", "dishes.wash", R"({"dish": "plate"})", "--queue", "kitchen", "--lock",
                             "sink", "--in", "1h", "--priority", "5", "--queueing-lock", "only"},
                            as("client"));
  EXPECT_EQ(deferred.exit_status, 0) << deferred.errors;
  EXPECT_EQ(sql("SELECT string_agg(type::text, ' ' ORDER BY id) FROM procrastinate_events"),
            "deferred scheduled");
  EXPECT_EQ(cli({"defer", "dishes.wash", "--queueing-lock", "only"}, as("client")).exit_status, 1)
      << "already enqueued";
  EXPECT_EQ(attempt("client", "SELECT postpone_defer('a', queue => 'b')"), "allowed");

  const std::string id = sql("SELECT id FROM procrastinate_jobs");
  for (const std::string& statement : std::vector<std::string>{
           "SELECT args FROM procrastinate_jobs", "SELECT * FROM procrastinate_events",
           "SELECT * FROM postpone_attempts", "SELECT * FROM procrastinate_workers",
           "UPDATE procrastinate_jobs SET priority = 9", "DELETE FROM procrastinate_jobs",
           std::string("INSERT INTO procrastinate_jobs (queue_name, task_name, status) VALUES ('q', 't', "
                       "'succeeded')"),
           "INSERT INTO procrastinate_jobs (queue_name, task_name, attempts) VALUES ('q', 't', 7)",
           "INSERT INTO procrastinate_jobs (queue_name, task_name, deferred_by) VALUES ('q', 't', 7)",
           "SELECT procrastinate_cancel_job_v1(" + id + ", false, true)",
           "SELECT procrastinate_finish_job_v1(" + id + ", 'succeeded', false)",
           "SELECT postpone_register_worker('s', 'h', 'n', 1)", "SELECT procrastinate_fetch_job_v2(NULL, 1)"})
    EXPECT_THAT(attempt("client", statement), HasSubstr("permission denied")) << statement;
}

// docs/sql.md and docs/cli.md tell applications how to defer a job once.
TEST_F(Roles, TheClientsQueueingLocksWorkAsDocumented) {
  const std::string once =
      "INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock) VALUES ('default', "
      "'report.build', "
      "'nightly') ON CONFLICT (queueing_lock) WHERE status = 'todo' DO NOTHING";
  execute(as("client"), once);
  execute(as("client"), once);
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_jobs"), "1");

  const auto again = cli({"defer", "report.build", "--queueing-lock", "nightly"}, as("client"));
  EXPECT_EQ(again.exit_status, 1);
  EXPECT_THAT(again.errors, AllOf(HasSubstr("already enqueued"), HasSubstr("\"nightly\"")));
  EXPECT_EQ(
      cli({"defer", "report.build", "--queueing-lock", "nightly", "--ignore-already-enqueued"}, as("client"))
          .exit_status,
      0);

  const std::string lines =
      "{\"task\": \"a\", \"queueing_lock\": \"a\"}\n{\"task\": \"b\", \"queueing_lock\": \"nightly\"}\n";
  const auto refused = cli({"defer", "--stdin"}, as("client"), lines);
  EXPECT_EQ(refused.exit_status, 1);
  EXPECT_THAT(refused.errors, AllOf(HasSubstr("line 2"), HasSubstr("\"nightly\"")));
  EXPECT_THAT(cli({"defer", "--stdin", "--ignore-already-enqueued"}, as("client"), lines).output,
              HasSubstr("1 job deferred, 1 enqueued already"));
}

// It could as well have been there first, and have kept the other job out.
TEST_F(Roles, TheClientKeepsAndReplacesWaitingJobsThoughItMayNotChangeThem) {
  const std::string defer = "SELECT postpone_defer('t', '{\"n\": 2}', queueing_lock => 'l', on_conflict => ";
  sql("SELECT postpone_defer('t', '{\"n\": 1}', queueing_lock => 'l')");
  execute(as("client"), defer + "'keep')");
  EXPECT_EQ(sql("SELECT string_agg(args->>'n', ' ') FROM procrastinate_jobs"), "1");
  execute(as("client"), defer + "'replace', meta => '{\"who\": 1}')");
  EXPECT_EQ(sql("SELECT string_agg((args->>'n') || meta, ' ') FROM procrastinate_jobs"), "2{\"who\": 1}");
  execute(as("worker"), defer + "'replace')");
  for (const std::string other : {"operator", "monitor"}) {
    EXPECT_THAT(attempt(other, defer + "'replace')"), HasSubstr("permission denied")) << other;
    EXPECT_THAT(attempt(other,
                        "SELECT postpone_meet_waiting_as_owner('{l}', '{t}', '{t}', NULL, NULL, NULL, "
                        "NULL)"),
                HasSubstr("permission denied"))
        << other;
  }
}

// The server names the lock only to who may read it: a role of the user's own may lack that.
TEST_F(Roles, WhoMayNotReadQueueingLocksIsToldOfTheOneItAskedFor) {
  sql("REVOKE SELECT (queueing_lock, status) ON procrastinate_jobs FROM postpone_client");
  const std::vector<std::string> once{"defer", "t", "--queueing-lock", "only"};
  EXPECT_EQ(cli(once, as("client")).exit_status, 0);
  const auto again = cli(once, as("client"));
  EXPECT_EQ(again.exit_status, 1);
  EXPECT_THAT(again.errors, AllOf(HasSubstr("already enqueued"), HasSubstr("\"only\"")));
  EXPECT_THAT(cli({"defer", "--stdin"}, as("client"),
                  "{\"task\": \"t\"}\n{\"task\": \"t\", \"queueing_lock\": \"only\"}\n")
                  .errors,
              AllOf(HasSubstr("line 2"), HasSubstr("\"only\"")));
}

// The table of docs/operations.md, statement by statement.
TEST_F(Roles, MayWhatTheDocumentSaysAndNoMore) {
  struct Line {
    std::string who, statement;
  };
  sql("SELECT postpone_register_worker('s', 'h', 'n', 1); SELECT postpone_defer('t');"
      "SELECT postpone_announce_schedules('s', '[{\"task\": \"t\", \"id\": \"\", \"cron\": \"@daily\", "
      "\"zone\": "
      "\"UTC\", \"missed\": \"last\", \"missed_within_s\": 1, \"queue\": \"q\", \"priority\": 0, \"args\": "
      "{}}]');"
      "INSERT INTO procrastinate_jobs (queue_name, task_name, status, worker_id, lock) VALUES ('q', 't', "
      "'doing', 1, 'l'), "
      "('q', 't', 'failed', NULL, NULL); INSERT INTO postpone_attempts (job_id, attempt, cause) VALUES (3, "
      "1, 'exception')");
  const std::vector<Line> lines = {
      // reading
      {"worker operator monitor", "SELECT * FROM procrastinate_jobs"},
      {"worker operator monitor", "SELECT * FROM procrastinate_events"},
      {"worker operator monitor", "SELECT * FROM procrastinate_workers"},
      {"worker operator monitor", "SELECT * FROM procrastinate_periodic_defers"},
      {"worker operator monitor", "SELECT * FROM postpone_attempts"},
      {"worker operator monitor", "SELECT * FROM postpone_workers"},
      {"worker operator monitor", "SELECT * FROM postpone_schedules"},
      {"worker operator monitor", "SELECT * FROM postpone_results"},
      {"worker operator monitor", "SELECT * FROM postpone_jobs"},
      {"worker client operator monitor", "SELECT * FROM postpone_migrations"},
      {"worker client operator monitor", "SELECT id, queueing_lock, status FROM procrastinate_jobs"},
      {"worker operator monitor", "SELECT task_name FROM procrastinate_jobs"},
      {"worker operator monitor", "SELECT lock FROM procrastinate_jobs"},
      {"worker operator monitor", "SELECT * FROM postpone_stalled_jobs(1)"},
      // creating
      {"worker client", "SELECT postpone_defer('t')"},
      {"worker client", "INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('q', 't')"},
      {"worker",
       "INSERT INTO procrastinate_jobs (queue_name, task_name, status) VALUES ('q', 't', 'succeeded')"},
      // deciding
      {"worker operator", "SELECT procrastinate_cancel_job_v1(1, false, false)"},
      {"worker operator", "SELECT procrastinate_cancel_job_v1(1, false, true)"},
      {"worker operator", "SELECT procrastinate_cancel_job_v1(2, true, false)"},
      {"worker operator", "SELECT postpone_retry_job(3, now(), 1, 'q', 'l2')"},
      {"worker operator", "SELECT procrastinate_retry_job_v2(3, now(), 1, 'q', 'l2')"},
      {"worker operator", "SELECT postpone_finish_by_hand(2, 'failed', 30, true)"},
      {"worker operator", "SELECT procrastinate_finish_job_v1(2, 'succeeded', false)"},
      {"worker operator", "SELECT postpone_rescue_job(2, 'retry', 3, -1, 'x')"},
      {"worker operator", "SELECT postpone_rescue_worker(1, '[]', 'fail', 3, 'x')"},
      {"worker operator", "DELETE FROM procrastinate_jobs WHERE id = 3"},
      {"worker", "UPDATE procrastinate_jobs SET args = '{}'"},
      {"worker", "UPDATE procrastinate_jobs SET task_name = 'u'"},
      {"worker", "UPDATE procrastinate_jobs SET queueing_lock = 'u'"},
      // schedules
      {"worker operator", "SELECT postpone_pause_schedule('t')"},
      {"worker operator", "SELECT postpone_resume_schedule('t')"},
      {"worker", "SELECT postpone_run_schedule('t')"},
      {"worker", "SELECT postpone_announce_schedules('s', '[]')"},
      {"worker", "SELECT postpone_defer_tick('t', '', 4102444800, 'q', 0, NULL, NULL, '{}')"},
      {"worker", "UPDATE postpone_schedules SET cron = ''"},
      {"worker operator", "SELECT postpone_remove_ended_jobs(0, 10, 86400, '{failed}', '{}', '{}')"},
      // running
      {"worker", "SELECT postpone_register_worker('s', 'h', 'n', 1)"},
      {"worker", "SELECT procrastinate_register_worker_v1()"},
      {"worker", "SELECT * FROM postpone_fetch_jobs(NULL, 1, 1)"},
      {"worker", "SELECT * FROM procrastinate_fetch_job_v2(NULL, 1)"},
      {"worker", "SELECT procrastinate_defer_periodic_job_v2('q', NULL, NULL, 't', 0, '', 1, '{}')"},
      {"worker operator", "SELECT procrastinate_update_heartbeat_v1(1)"},
      {"worker operator", "DELETE FROM procrastinate_workers"},
      // history
      {"worker client operator", "INSERT INTO procrastinate_events (job_id, type) VALUES (1, 'started')"},
      {"", "UPDATE procrastinate_events SET at = now()"},
      {"", "DELETE FROM procrastinate_events"},
      {"worker operator",
       "INSERT INTO postpone_attempts (job_id, attempt, cause) VALUES (1, 1, 'exception')"},
      {"worker operator", "UPDATE postpone_attempts SET cause = 'succeeded'"},
      {"", "UPDATE postpone_attempts SET job_id = 1"},
      {"", "UPDATE postpone_attempts SET attempt = 2"},
      {"", "DELETE FROM postpone_attempts"},
      {"worker", "INSERT INTO postpone_results (job_id, attempt) VALUES (1, 1)"},
      {"worker", "UPDATE postpone_results SET result = '1'"},
      {"", "UPDATE postpone_results SET job_id = 1"},
      {"", "DELETE FROM postpone_results"},
      {"", "UPDATE postpone_jobs SET priority = 1"},
      {"", "DELETE FROM postpone_jobs"},
      {"", "UPDATE postpone_workers SET host = ''"},
      // the schema
      {"", "INSERT INTO postpone_migrations VALUES (99, 'x')"},
      {"", "TRUNCATE procrastinate_jobs CASCADE"},
      {"", "ALTER TABLE procrastinate_jobs DISABLE TRIGGER USER"}};
  for (const Line& line : lines) {
    for (const std::string& role : roles()) {
      const std::string said = attempt(role, line.statement);
      if ((" " + line.who + " ").find(" " + role + " ") != std::string::npos) {
        EXPECT_EQ(said, "allowed") << role << ": " << line.statement;
      } else {
        EXPECT_THAT(said, testing::AnyOf(HasSubstr("permission denied"), HasSubstr("must be owner")))
            << role << ": " << line.statement;
      }
    }
  }
}

// Without a configuration nothing says what the role is for: to be able to read anything is enough.
// Policies of the application say which jobs a role sees; the view and the results know none.
TEST_F(Roles, ATenantBehindRowSecurityIsShownNoResultsOfOthers) {
  const std::string tenant = database_.name() + "_tenant";
  sql("CREATE ROLE " + tenant + " LOGIN; GRANT SELECT ON procrastinate_jobs TO " + tenant +
      "; ALTER TABLE procrastinate_jobs ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON procrastinate_jobs "
      "USING "
      "(queue_name = current_user)");
  EXPECT_EQ(cli({"schema", "apply"}, database_.url()).exit_status, 0);
  EXPECT_THAT(attempt("tenant", "SELECT FROM procrastinate_jobs"), "allowed");
  EXPECT_THAT(attempt("tenant", "SELECT FROM postpone_attempts"), "allowed");
  EXPECT_THAT(attempt("tenant", "SELECT FROM postpone_jobs"), HasSubstr("permission denied"));
  EXPECT_THAT(attempt("tenant", "SELECT FROM postpone_results"), HasSubstr("permission denied"));
  sql("DROP OWNED BY " + tenant + "; DROP ROLE " + tenant);
}

TEST_F(Roles, HealthcheckIsWellForEachRoleAndForNoStranger) {
  for (const std::string& role : roles()) {
    const auto well = cli({"healthcheck"}, as(role));
    EXPECT_EQ(well.exit_status, 0) << role << ": " << well.errors;
  }
  sql("CREATE ROLE " + login("none") + " LOGIN");
  const auto refused = cli({"healthcheck"}, as("none"));
  sql("DROP ROLE " + login("none"));
  EXPECT_EQ(refused.exit_status, 5) << refused.output;
  EXPECT_EQ(refused.output, "");
  EXPECT_THAT(refused.errors, AllOf(HasSubstr("permission denied"), HasSubstr("GRANT ")));
}

// What an admin page does, and what it does not, by the command line.
TEST_F(Roles, TheOperatorDecidesAndRunsNothing) {
  sql("SELECT postpone_register_worker('s', 'h', 'n', 1); UPDATE procrastinate_workers SET last_heartbeat = "
      "now() - interval '1 hour';"
      "SELECT count(postpone_defer('t')) FROM generate_series(1, 4);"
      "INSERT INTO procrastinate_jobs (queue_name, task_name, status, worker_id, lock) VALUES ('q', 't', "
      "'doing', 1, 'a'), "
      "('q', 't', 'doing', NULL, 'b'), ('q', 't', 'failed', NULL, NULL), ('q', 't', 'succeeded', NULL, NULL);"
      "INSERT INTO procrastinate_events (job_id, type, at) VALUES (8, 'succeeded', now() - interval '2 "
      "days')");
  const std::string url = as("operator");
  for (const std::vector<std::string>& allowed : std::vector<std::vector<std::string>>{
           {"jobs", "list"},
           {"jobs", "count"},
           {"jobs", "show", "1"},
           {"queues"},
           {"tasks"},
           {"locks"},
           {"workers"},
           {"stalled", "list"},
           {"schema", "check"},
           {"jobs", "cancel", "1"},
           {"jobs", "cancel", "2", "--delete"},
           {"jobs", "retry", "7", "--new-queue", "q2", "--new-lock", "c", "--new-priority", "3", "--in",
            "1h"},
           {"jobs", "finish", "6", "--status", "failed"},
           {"stalled", "rescue", "5", "--action", "retry"},
           {"jobs", "purge", "--status", "succeeded", "--older-than", "1d"}}) {
    const auto run = cli(allowed, url);
    EXPECT_EQ(run.exit_status, 0) << testing::PrintToString(allowed) << "\n" << run.output << run.errors;
  }
  EXPECT_EQ(sql("SELECT string_agg(id || ' ' || status, ', ' ORDER BY id) FROM procrastinate_jobs"),
            "1 cancelled, 3 todo, 4 todo, 5 todo, 6 failed, 7 todo");
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_workers"), "0") << "the lease of the dead is gone";

  for (const std::vector<std::string>& refused :
       std::vector<std::vector<std::string>>{{"defer", "t"}, {"schema", "roles"}}) {
    const auto run = cli(refused, url);
    EXPECT_EQ(run.exit_status, 1) << testing::PrintToString(refused);
    EXPECT_THAT(run.errors, testing::AnyOf(AllOf(HasSubstr("permission denied"), HasSubstr("GRANT ")),
                                           HasSubstr("must be owner")))
        << run.errors;
    EXPECT_EQ(std::count(run.errors.begin(), run.errors.end(), '\n'), 1) << run.errors;
  }
}

TEST_F(Roles, TheMonitorReadsAndCanDoNoMore) {
  const std::string id = sql("SELECT postpone_defer('dishes.wash', '{\"dish\": \"plate\"}')");
  const auto list = cli({"jobs", "list"}, as("monitor"));
  EXPECT_EQ(list.exit_status, 0) << list.errors;
  EXPECT_THAT(list.output, HasSubstr("dishes.wash"));
  EXPECT_EQ(cli({"jobs", "show", id}, as("monitor")).exit_status, 0);
  EXPECT_EQ(cli({"stalled", "list"}, as("monitor")).exit_status, 0);
  EXPECT_EQ(cli({"schema", "check"}, as("monitor")).exit_status, 0);
  for (const std::string table : {"procrastinate_jobs", "procrastinate_events", "procrastinate_workers",
                                  "procrastinate_periodic_defers", "postpone_attempts", "postpone_workers"})
    EXPECT_EQ(attempt("monitor", "SELECT * FROM " + table), "allowed");
  for (const std::string& statement : std::vector<std::string>{
           "SELECT postpone_defer('t')", "UPDATE procrastinate_jobs SET priority = 1",
           "DELETE FROM procrastinate_jobs", "SELECT procrastinate_register_worker_v1()",
           "DELETE FROM procrastinate_workers", "SELECT procrastinate_cancel_job_v1(" + id + ", false, true)",
           "SELECT nextval('procrastinate_jobs_id_seq')", "SELECT * FROM procrastinate_jobs FOR UPDATE"})
    EXPECT_THAT(attempt("monitor", statement), HasSubstr("permission denied")) << statement;
}

// A server whose administrators have taken from PUBLIC what it has by default.
TEST_F(Roles, NeedNothingOfWhatEverybodyHas) {
  const TestDatabase database(Schema::none);
  database.execute(
      "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;"
      "ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC");
  ASSERT_EQ(cli({"schema", "apply"}, database.url()).exit_status, 0);
  ASSERT_EQ(cli({"schema", "roles"}, database.url()).exit_status, 0);
  const std::string url = database.url() + " user=" + login("client");
  const auto deferred = cli({"defer", "t"}, url);
  EXPECT_EQ(deferred.exit_status, 0) << deferred.errors;
  Family family(database.url() + " user=" + login("worker"), group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  EXPECT_TRUE(eventually([&] {
    return database.execute("SELECT status FROM procrastinate_jobs WHERE id = 1") == "todo" &&
           database.execute("SELECT count(*) FROM procrastinate_workers") == "1";
  }));
  execute(url, "SELECT postpone_defer('misbehave.noop', queue => 'm')");
  EXPECT_TRUE(eventually([&] {
    return database.execute("SELECT status FROM procrastinate_jobs WHERE id = 2") == "succeeded";
  })) << family.log();
  EXPECT_EQ(family.stop().code, 0);
}

}  // namespace
}  // namespace postpone::tests
