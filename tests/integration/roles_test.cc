// The roles of sql/roles.sql, in the hands of those they are made for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/database.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::string kMisbehave = POSTPONE_EXAMPLES_DIR "/misbehave";
const std::string kTestTasks = POSTPONE_TEST_TASKS;

// A database with the roles, and one who logs in for each.
class Roles : public testing::Test {
 protected:
  Roles() {
    const auto made = cli({"schema", "roles"}, database_.url());
    EXPECT_EQ(made.exit_status, 0) << made.errors;
    for (const std::string& role : roles())
      database_.execute("CREATE ROLE " + login(role) + " LOGIN IN ROLE postpone_" + role);
  }
  ~Roles() override {
    for (const std::string& role : roles())
      database_.execute("DROP OWNED BY " + login(role) + "; DROP ROLE " + login(role));
  }

  static const std::vector<std::string>& roles() {
    static const std::vector<std::string> all = {"worker", "client", "operator", "monitor"};
    return all;
  }
  std::string login(const std::string& role) const { return database_.name() + "_" + role; }
  // The last user= that a connection string names counts.
  std::string as(const std::string& role) const { return database_.url() + " user=" + login(role); }

  static ProgramRun cli(std::vector<std::string> arguments, const std::string& url,
                        const std::string& input = "") {
    arguments.insert(arguments.begin(), POSTPONE_CLI);
    return run_program(arguments, {.environment = {{"POSTPONE_DATABASE_URL", url}}, .input = input});
  }
  std::string sql(const std::string& statement) const { return database_.execute(statement); }
  // What the server says when this role tries; "allowed" when it lets it.
  std::string attempt(const std::string& role, const std::string& statement) const {
    try {
      execute(as(role), "BEGIN; " + statement + "; ROLLBACK");
      return "allowed";
    } catch (const std::runtime_error& error) {
      return error.what();
    }
  }
  bool all_end() const {
    return eventually([&] {
      return sql("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')") == "0";
    });
  }

  TestDatabase database_;
};

TEST_F(Roles, ASupervisorDoesAllItsWorkAsTheWorker) {
  Family family(as("worker"),
                "[supervisor]\nheartbeat_interval = \"200ms\"\nfence_after = \"20s\"\nstalled_after "
                "= \"30s\"\npolling_interval = \"500ms\"\n" +
                    group("m", kMisbehave, 2) + group("t", kTestTasks, 1, "delete_jobs = \"always\""));
  family.wait_until_ready(3);
  const auto defer = [&](const std::string& task, const std::string& queue, const std::string& args) {
    return sql("SELECT postpone_defer('" + task + "', queue => '" + queue + "', args => '" + args +
               "', lock => 'one')");
  };
  defer("misbehave.noop", "m", "{}");
  defer("misbehave.segfault", "m", "{}");
  defer("test.append", "t", R"({"file": "/dev/null", "text": "x"})");
  defer("test.defers", "t", "{}");
  sql("SELECT postpone_defer('misbehave.noop', queue => 'm', scheduled_at => now() + '300ms')");
  // One sub-worker is killed with its job, which the housekeeper rescues; another job is aborted.
  const auto hangs = sql("SELECT postpone_defer('misbehave.wait', queue => 'm')");
  ASSERT_TRUE(eventually([&] {
    return sql("SELECT status FROM procrastinate_jobs WHERE id = " + hangs) == "doing";
  })) << family.log();
  ASSERT_TRUE(eventually([&] {
    for (const auto& [pid, title] : family.processes())
      if (title.ends_with("(job " + hangs + ")")) return ::kill(pid, SIGKILL) == 0;
    return false;
  }));
  ASSERT_TRUE(eventually([&] {
    return sql("SELECT status::text || attempts FROM procrastinate_jobs WHERE id = " + hangs) == "doing1";
  })) << family.log();
  sql("SELECT procrastinate_cancel_job_v1(" + hangs + ", true, false)");
  EXPECT_TRUE(eventually(
      [&] { return sql("SELECT status FROM procrastinate_jobs WHERE id = " + hangs) == "aborted"; }));
  EXPECT_TRUE(eventually([&] {
    return sql("SELECT count(*) FROM procrastinate_periodic_defers WHERE task_name = 'test.tick'") == "1";
  })) << "periodic tasks are deferred";
  EXPECT_EQ(family.stop().code, 0);
  EXPECT_THAT(family.log(), Not(HasSubstr("permission denied")));
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_workers"), "0");
}

// What the role lacks is said once, with the line that mends it, and not by each process for ever.
TEST_F(Roles, ASupervisorOfAnotherRoleDoesNotStartAndSaysWhatToType) {
  database_.execute("CREATE ROLE " + login("none") + " LOGIN");
  for (const std::string role : {"none", "client", "monitor"}) {
    Family family(as(role), group("m", kMisbehave, 1));
    EXPECT_EQ(family.wait().code, 5) << family.log();
    EXPECT_THAT(family.log(),
                HasSubstr("type in psql, as the owner of the tables: GRANT postpone_worker TO \"" +
                          login(role) + "\""));
  }
  const TemporaryDirectory files;
  std::ofstream(files.file("kitchen.toml")) << group("m", kMisbehave, 1);
  const auto health = cli({"healthcheck", "--config", files.file("kitchen.toml")}, as("none"));
  EXPECT_EQ(health.exit_status, 5) << health.output;
  EXPECT_THAT(health.errors, HasSubstr("GRANT postpone_worker TO \"" + login("none")));
  EXPECT_THAT(cli({"jobs", "list"}, as("none")).errors, HasSubstr("GRANT this role what it is for: postpone_monitor looks"));

  // Whoever was given the same by hand is as good; and one who may not even look into the schema is told
  // that.
  const auto grant = [&](const std::string& what) {
    database_.execute("GRANT " + what + " TO " + login("none"));
  };
  for (const std::string table : {"procrastinate_jobs", "procrastinate_events", "procrastinate_workers",
                                  "procrastinate_periodic_defers", "postpone_attempts", "postpone_workers"})
    grant("SELECT, INSERT, UPDATE, DELETE ON " + table);
  grant("SELECT ON postpone_migrations");
  grant("USAGE ON ALL SEQUENCES IN SCHEMA public");
  {
    Family family(as("none"), group("m", kMisbehave, 1));
    family.wait_until_ready(1);
    EXPECT_EQ(family.stop().code, 0);
  }
  database_.execute("REVOKE USAGE ON SCHEMA public FROM public");
  Family family(as("none"), group("m", kMisbehave, 1));
  EXPECT_EQ(family.wait().code, 5) << family.log();
  EXPECT_THAT(family.log(), HasSubstr("it lacks USAGE on schema public; type in psql"));
  database_.execute("DROP OWNED BY " + login("none") + "; DROP ROLE " + login("none"));
}

TEST_F(Roles, APrivilegeThatIsTakenAwayWhileAFamilyWorksFillsNoLog) {
  Family family(as("worker"), group("m", kMisbehave, 4));
  family.wait_until_ready(4);
  sql("REVOKE postpone_worker FROM " + login("worker"));
  sql("SELECT postpone_defer('misbehave.noop', queue => 'm') FROM generate_series(1, 4)");
  ASSERT_TRUE(eventually([&] { return family.log().find("permission denied") != std::string::npos; }));
  ASSERT_TRUE(eventually([&] { return family.log().find("degraded: ") != std::string::npos; }))
      << family.log();
  const std::string log = family.log();
  EXPECT_LT(std::count(log.begin(), log.end(), '\n'), 60) << log;
  sql("GRANT postpone_worker TO " + login("worker"));
  EXPECT_TRUE(all_end()) << family.log();
}

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

// Who applies a schema need not be one who makes roles.
TEST_F(Roles, AnOlderInstallationLearnsOfTheOperatorFromWhoeverMayMakeRoles) {
  EXPECT_THAT(cli({"schema", "check"}, database_.url()).output,
              HasSubstr("postpone_client, postpone_monitor, postpone_operator, postpone_worker\n"));
  const std::string owner = login("owner");
  sql("CREATE ROLE " + owner + " LOGIN; GRANT CREATE, USAGE ON SCHEMA public TO " + owner +
      ";"
      "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM postpone_operator");
  sql("DO $$ DECLARE name text; BEGIN FOR name IN SELECT oid::regclass FROM pg_class WHERE relnamespace = "
      "'public'::regnamespace AND relkind = 'r' LOOP EXECUTE format('ALTER TABLE %s OWNER TO " +
      owner +
      "', name); END LOOP; "
      "FOR name IN SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'public'::regnamespace LOOP "
      "EXECUTE "
      "format('ALTER FUNCTION %s OWNER TO " +
      owner +
      "', name); END LOOP; FOR name IN SELECT oid::regtype FROM pg_type WHERE "
      "typnamespace = 'public'::regnamespace AND typtype = 'e' LOOP EXECUTE format('ALTER TYPE %s OWNER TO " +
      owner + "', name); END LOOP; END $$");
  EXPECT_THAT(cli({"schema", "check"}, database_.url()).output,
              HasSubstr("run postpone schema roles for the others"));
  const auto applied = cli({"schema", "apply"}, database_.url() + " user=" + owner);
  EXPECT_EQ(applied.exit_status, 0) << applied.errors;
  EXPECT_EQ(attempt("operator", "SELECT * FROM procrastinate_jobs"), "allowed");
  sql("REASSIGN OWNED BY " + owner + " TO CURRENT_USER; DROP OWNED BY " + owner + "; DROP ROLE " + owner);
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

// The script for those who apply it by hand.
TEST_F(Roles, TheScriptOfTheSchemaWidensNobodysRights) {
  const auto script = cli({"schema", "show"}, database_.url());
  ASSERT_EQ(script.exit_status, 0);
  sql(script.output);
  EXPECT_THAT(attempt("worker", "DELETE FROM postpone_attempts"), HasSubstr("permission denied"));
  EXPECT_THAT(attempt("worker", "UPDATE postpone_workers SET host = ''"), HasSubstr("permission denied"));
}

TEST_F(Roles, ApplyGrantsWhatAMigrationHasAddedAndTakesBackWhatIsTooMuch) {
  sql("CREATE TABLE postpone_later (id bigint); GRANT DELETE ON procrastinate_events TO postpone_worker; "
      "GRANT UPDATE (args) ON procrastinate_jobs TO postpone_client");
  EXPECT_EQ(attempt("client", "UPDATE procrastinate_jobs SET args = '{}'"), "allowed");
  for (int twice = 0; twice < 2; ++twice) {
    const auto applied = cli({"schema", "apply"}, database_.url());
    EXPECT_EQ(applied.exit_status, 0) << applied.errors;
    EXPECT_EQ(attempt("monitor", "SELECT * FROM postpone_later"), "allowed");
    EXPECT_THAT(attempt("worker", "DELETE FROM procrastinate_events"), HasSubstr("permission denied"));
    EXPECT_THAT(attempt("worker", "DELETE FROM postpone_attempts"), HasSubstr("permission denied"));
    EXPECT_THAT(attempt("client", "UPDATE procrastinate_jobs SET args = '{}'"),
                HasSubstr("permission denied"));
  }
}

// The roles are there for another database of the server, and nobody has asked for them here.
TEST_F(Roles, ApplyGrantsNothingWhereNobodyHasAskedForRoles) {
  const TestDatabase other;
  EXPECT_EQ(cli({"schema", "apply"}, other.url()).exit_status, 0);
  EXPECT_EQ(other.execute("SELECT has_table_privilege('postpone_monitor', 'procrastinate_jobs', 'SELECT')"),
            "f");
}

TEST_F(Roles, AnotherSchemaThanPublicWillDo) {
  const TestDatabase database(Schema::none);
  database.execute("CREATE SCHEMA jobs");
  const std::string url = database.url() + " options=-csearch_path=jobs";
  EXPECT_EQ(cli({"schema", "apply"}, url).exit_status, 0);
  EXPECT_EQ(cli({"schema", "roles"}, url).exit_status, 0);
  EXPECT_EQ(cli({"defer", "t"}, url + " user=" + login("client")).exit_status, 0);
  EXPECT_EQ(cli({"jobs", "list"}, url + " user=" + login("monitor")).exit_status, 0);
}

TEST_F(Roles, AreRefusedWhereThereIsNoSchemaAndPrintedForThoseWhoWantToRead) {
  const TestDatabase empty(Schema::none);
  const auto refused = cli({"schema", "roles"}, empty.url());
  EXPECT_EQ(refused.exit_status, 5);
  EXPECT_THAT(refused.errors, HasSubstr("postpone schema apply"));
  EXPECT_THAT(cli({"schema", "roles", "--show"}, "host=/nonexistent").output,
              AllOf(HasSubstr("BEGIN ISOLATION LEVEL"), HasSubstr("postpone_client"), HasSubstr("COMMIT;")));
}

}  // namespace
}  // namespace postpone::tests
