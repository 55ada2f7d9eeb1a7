// What `postpone schema check` and `apply` find and do, on real databases.
#include "sql/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <future>
#include <sstream>
#include <thread>

#include "sql/embedded.h"
#include "sql/error.h"
#include "tests/integration/session.h"
#include "tests/support/database.h"

namespace postpone::tests {
namespace {

using sql::SchemaReport;
using State = sql::SchemaReport::State;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

sql::ConnectOptions options_for(const TestDatabase& database, const std::string& search_path = "") {
  sql::ConnectOptions options;
  options.url = database.url();
  if (!search_path.empty()) options.url += " options='-csearch_path=" + search_path + "'";
  return options;
}

std::string procrastinate() {
  std::ifstream file(POSTPONE_SOURCE_DIR "/tests/support/procrastinate_39.sql");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(Schema, EmptyDatabaseIsAbsentAndTheLineNamesTheCommand) {
  const TestDatabase database(Schema::none);
  const SchemaReport report = sql::check_schema(options_for(database));
  EXPECT_EQ(report.state, State::absent);
  EXPECT_EQ(report.installed_version, 0);
  EXPECT_EQ(report.current_version, sql::migrations().back().version);
  EXPECT_EQ(sql::explain(report),
            "Postpone is not installed in schema \"public\": run: postpone schema apply");
}

TEST(Schema, AppliesOnceAndIsCurrentAfterwards) {
  const TestDatabase database(Schema::none);
  EXPECT_THAT(sql::apply_schema(options_for(database)), SizeIs(sql::migrations().size() + 1));
  const SchemaReport report = sql::check_schema(options_for(database));
  EXPECT_EQ(report.state, State::current);
  EXPECT_EQ(report.installed_version, report.current_version);
  EXPECT_EQ(sql::explain(report), "");
  EXPECT_THAT(sql::apply_schema(options_for(database)), IsEmpty());
}

TEST(Schema, ManyAtOnceApplyOnce) {
  const TestDatabase database(Schema::none);
  std::vector<std::future<std::size_t>> runs;
  runs.reserve(6);
  for (int i = 0; i < 6; ++i) {
    runs.push_back(
        std::async(std::launch::async, [&] { return sql::apply_schema(options_for(database)).size(); }));
  }
  std::size_t applied = 0;
  for (auto& run : runs) applied += run.get();
  EXPECT_EQ(applied, sql::migrations().size() + 1);
  EXPECT_EQ(sql::check_schema(options_for(database)).state, State::current);
}

TEST(Schema, EveryObjectOfAFreshSchemaIsExpected) {
  const TestDatabase database;
  Session session(database);
  std::string found;
  for (const std::string& object : session.rows(std::string(sql::objects_query()), {untyped("public")})) {
    found += object + "\n";
  }
  EXPECT_EQ(found, sql::expected_objects())
      << "sql/objects.txt is to be brought up to date with the migrations";
}

TEST(Schema, ScriptDoesWhatApplyDoes) {
  const TestDatabase database(Schema::none);
  Session session(database);
  for (int run = 0; run < 2; ++run) session.rows(sql::schema_script());
  EXPECT_EQ(sql::check_schema(options_for(database)).state, State::current);
  EXPECT_THAT(sql::apply_schema(options_for(database)), IsEmpty());
}

TEST(Schema, LivesInTheSchemaThatSearchPathNames) {
  const TestDatabase database(Schema::none);
  Session session(database);
  session.rows("CREATE SCHEMA \"Work queue\"; SET search_path = \"Work queue\"");
  const sql::ConnectOptions options = options_for(database, R"("Work\\ queue")");
  EXPECT_EQ(sql::check_schema(options).schema, "Work queue");
  sql::apply_schema(options);
  EXPECT_EQ(sql::check_schema(options).state, State::current);
  EXPECT_EQ(sql::check_schema(options_for(database)).state, State::absent);  // public is empty
  EXPECT_EQ(session.value("SELECT postpone_defer('wash')"), "1");
  EXPECT_EQ(session.value("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"), "0");
}

TEST(Schema, OneSchemaDoesNotHideAnother) {
  const TestDatabase database;
  Session session(database);
  session.rows("CREATE SCHEMA other");
  sql::apply_schema(options_for(database, "other"));
  EXPECT_EQ(session.value("SELECT count(*) FROM pg_class WHERE relname = 'procrastinate_jobs'"), "2");
  EXPECT_EQ(session.value("SELECT count(*) FROM pg_type WHERE typname = 'postpone_cause'"), "2");
}

TEST(Schema, IsFoundBehindOtherSchemasOfThePath) {
  const TestDatabase database;
  Session session(database);
  session.rows("CREATE SCHEMA application; DROP FUNCTION postpone_heartbeat");
  const sql::ConnectOptions options = options_for(database, "application,public");
  EXPECT_EQ(sql::check_schema(options).schema, "public");
  sql::apply_schema(options);
  EXPECT_EQ(sql::check_schema(options).state, State::current);
  EXPECT_EQ(session.value("SELECT count(*) FROM pg_proc WHERE pronamespace = 'application'::regnamespace"),
            "0");
}

TEST(Schema, SearchPathThatLeadsNowhereIsSaidSo) {
  const TestDatabase database(Schema::none);
  try {
    sql::check_schema(options_for(database, "nowhere"));
    FAIL();
  } catch (const sql::DatabaseError& error) {
    EXPECT_EQ(error.remedy(), sql::Remedy::bug);
    EXPECT_THAT(error.what(), HasSubstr("search_path"));
  }
}

TEST(Schema, MissingMigrationIsAppliedWithoutTheOthers) {
  const TestDatabase database;
  Session session(database);
  session.rows("DELETE FROM postpone_migrations WHERE version = 5; DROP INDEX postpone_jobs_orphaned_idx");
  const SchemaReport report = sql::check_schema(options_for(database));
  EXPECT_EQ(report.state, State::outdated);
  EXPECT_THAT(report.missing, ElementsAre("migration 0005_stalled"));
  EXPECT_THAT(sql::apply_schema(options_for(database)), ElementsAre("0005_stalled", "functions"));
  EXPECT_EQ(sql::check_schema(options_for(database)).state, State::current);
}

// What `schema check` says of functions and triggers that are not this program's, and `schema apply` mends.
struct Alteration {
  std::string name, done, named;
};
void PrintTo(const Alteration& alteration, std::ostream* out) {
  *out << alteration.name;
}

class AlteredSchema : public ::testing::TestWithParam<Alteration> {};

TEST_P(AlteredSchema, IsNamedAndMended) {
  const TestDatabase database;
  Session session(database);
  session.rows(GetParam().done);
  const SchemaReport report = sql::check_schema(options_for(database));
  EXPECT_EQ(report.state, State::outdated);
  EXPECT_THAT(report.missing, IsEmpty());
  EXPECT_THAT(report.differing, ElementsAre(GetParam().named));
  EXPECT_EQ(sql::explain(report),
            "schema \"public\" is at version 7, this program at 7, with other contents of " +
                GetParam().named + ": run: postpone schema apply");
  EXPECT_THAT(sql::apply_schema(options_for(database)), ElementsAre("functions"));
  EXPECT_EQ(sql::check_schema(options_for(database)).state, State::current);
  EXPECT_EQ(session.value("SELECT postpone_heartbeat('{}')"), "{}");
  EXPECT_THAT(sql::apply_schema(options_for(database)), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    , AlteredSchema,
    ::testing::Values(
        Alteration{"Body",
                   "DO $$ BEGIN EXECUTE replace(pg_get_functiondef('postpone_heartbeat'::regproc),"
                   " 'ORDER BY id', 'ORDER BY  id'); END $$",
                   "function postpone_heartbeat"},
        Alteration{"Language",
                   "CREATE OR REPLACE FUNCTION postpone_heartbeat(worker_ids bigint[]) RETURNS bigint[] "
                   "LANGUAGE sql AS 'SELECT NULL::bigint[]'",
                   "function postpone_heartbeat"},
        Alteration{"Setting", "ALTER FUNCTION postpone_find_jobs SET enable_sort = on",
                   "function postpone_find_jobs"},
        Alteration{"NoSettings", "ALTER FUNCTION postpone_rescue_job RESET ALL",
                   "function postpone_rescue_job"},
        Alteration{"Volatility", "ALTER FUNCTION postpone_is_ours VOLATILE", "function postpone_is_ours"},
        Alteration{"Rights", "ALTER FUNCTION postpone_notify SECURITY DEFINER", "function postpone_notify"},
        Alteration{"Trigger",
                   "CREATE OR REPLACE TRIGGER postpone_jobs_updated AFTER UPDATE OF status ON "
                   "procrastinate_jobs FOR EACH STATEMENT EXECUTE FUNCTION postpone_jobs_inserted()",
                   "trigger postpone_jobs_updated on procrastinate_jobs"}),
    [](const auto& info) { return info.param.name; });

TEST(Schema, WhatAnotherProgramHasPutThereIsALeftover) {
  const TestDatabase database;
  Session session(database);
  session.rows(
      "CREATE FUNCTION postpone_old() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
      "CREATE TRIGGER old BEFORE UPDATE ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION postpone_old();"
      "CREATE FUNCTION postpone_of_the_application() RETURNS void LANGUAGE sql AS '';"
      "DO $$ BEGIN EXECUTE format('COMMENT ON TABLE postpone_migrations IS %L',"
      " obj_description('postpone_migrations'::regclass, 'pg_class') || ' postpone_old'); END $$");
  const SchemaReport report = sql::check_schema(options_for(database));
  EXPECT_EQ(report.state, State::outdated);
  EXPECT_THAT(report.leftover, ElementsAre("function postpone_old"));
  EXPECT_THAT(sql::explain(report),
              HasSubstr(", with leftovers: function postpone_old: run: postpone schema apply"));
  EXPECT_THAT(sql::apply_schema(options_for(database)), ElementsAre("functions"));
  EXPECT_EQ(sql::check_schema(options_for(database)).state, State::current);
  EXPECT_EQ(session.value("SELECT to_regproc('postpone_old')"), "∅");
  EXPECT_EQ(session.value("SELECT to_regproc('postpone_of_the_application')"), "postpone_of_the_application");
}

TEST(Schema, ThatWasRenamedNamesItselfAgainAfterApply) {
  const TestDatabase database;
  Session session(database);
  session.rows(R"(ALTER SCHEMA public RENAME TO "it's ""here""")");
  const sql::ConnectOptions options = options_for(database, R"("it\'s\\ ""here""")");
  session.rows(R"(SET search_path = "it's ""here""")");
  EXPECT_THROW(session.rows("SELECT postpone_defer('wash')"), SqlError);
  const SchemaReport report = sql::check_schema(options);
  EXPECT_EQ(report.moved_from, "public");
  EXPECT_EQ(
      sql::explain(report),
      R"(schema "it's "here"" is at version 7, this program at 7, moved from schema "public", which its )"
      "functions still name: run: postpone schema apply");
  EXPECT_THAT(sql::apply_schema(options), ElementsAre("functions"));
  EXPECT_EQ(sql::check_schema(options).state, State::current);
  session.rows("SELECT postpone_defer('wash'); SELECT postpone_register_worker('s', 'h', 'w', 1)");
  EXPECT_EQ(session.value("SELECT id FROM postpone_fetch_jobs(NULL, 1, 1)"), "1");
}

// Versions 2 to 4 held functions, of which one has been renamed since.
TEST(Schema, DatabaseOfTheFirstReleaseIsBroughtUpToDate) {
  const TestDatabase database;
  Session session(database);
  session.rows(
      "DELETE FROM postpone_migrations WHERE version > 1; COMMENT ON TABLE postpone_migrations IS NULL;"
      "INSERT INTO postpone_migrations (version, name) VALUES (2, '0002_notifications'), (3, '0003_jobs'),"
      " (4, '0004_workers'), (5, '0005_stalled'); ALTER TABLE postpone_migrations DROP oldest_program;"
      "CREATE FUNCTION postpone_rescue_worker(bigint, jsonb, text, integer, text, bigint[]) RETURNS void"
      " LANGUAGE sql AS ''");
  EXPECT_EQ(sql::check_schema(options_for(database)).state, State::outdated);
  EXPECT_THAT(sql::apply_schema(options_for(database)),
              ElementsAre("0006_functions", "0007_oldest_program", "functions"));
  EXPECT_EQ(sql::check_schema(options_for(database)).state, State::current);
}

// Two versions ahead; the second one is what counts for an older program.
void make_newer(Session& session, const std::string& oldest_program) {
  session.rows(
      "INSERT INTO postpone_migrations (version, name, oldest_program) VALUES (8999, 'harmless', 2),"
      " (9000, 'from_the_future', " +
      oldest_program +
      "); CREATE OR REPLACE FUNCTION postpone_heartbeat(worker_ids bigint[]) RETURNS bigint[] LANGUAGE sql"
      " AS 'SELECT ''{9000}''::bigint[]'; CREATE FUNCTION postpone_of_the_future() RETURNS void LANGUAGE sql "
      "AS ''");
}

TEST(Schema, NewerSchemaThatIsNotOpenToThisProgramIsLeftAlone) {
  for (const std::string oldest : {"NULL", "9000", "8"}) {
    SCOPED_TRACE(oldest);
    const TestDatabase database;
    Session session(database);
    make_newer(session, oldest);
    const SchemaReport report = sql::check_schema(options_for(database));
    EXPECT_EQ(report.state, State::newer);
    EXPECT_EQ(sql::explain(report), "schema \"public\" is at version 9000, this program at 7, and it wants " +
                                        (oldest == "8" ? oldest : "9000") +
                                        " or later: upgrade this program");
    try {
      sql::apply_schema(options_for(database));
      ADD_FAILURE() << "it was applied";
    } catch (const sql::SchemaUnfit& refusal) {
      EXPECT_EQ(refusal.what(), sql::explain(report));
    }
    EXPECT_EQ(session.value("SELECT postpone_heartbeat('{}')"), "{9000}");
  }
}

TEST(Schema, NewerSchemaThatIsOpenToThisProgramIsUsedAndLeftAsItIs) {
  const TestDatabase database;
  Session session(database);
  make_newer(session, "7");
  const SchemaReport report = sql::check_schema(options_for(database));
  EXPECT_EQ(report.state, State::newer_but_open);
  EXPECT_EQ(sql::explain(report), "");
  EXPECT_THAT(sql::apply_schema(options_for(database)), IsEmpty());
  EXPECT_EQ(session.value("SELECT postpone_heartbeat('{}')"), "{9000}");
  try {
    sql::apply_roles(options_for(database));
    ADD_FAILURE() << "an older program does not know what the roles need";
  } catch (const sql::SchemaUnfit& refusal) {
    EXPECT_THAT(refusal.what(), HasSubstr("is at version 9000, newer than this program at 7"));
  }
  EXPECT_THROW(session.rows(sql::schema_script()), SqlError);
  session.rows("ROLLBACK");
  EXPECT_EQ(session.value("SELECT postpone_heartbeat('{}')"), "{9000}");
}

TEST(Schema, EveryMigrationIsRecordedWithItsOldestProgram) {
  const TestDatabase database;
  Session session(database);
  Values expected;
  for (const sql::Migration& migration : sql::migrations()) {
    EXPECT_LE(migration.oldest_program, migration.version);
    expected.push_back(std::to_string(migration.oldest_program));
  }
  EXPECT_EQ(session.rows("SELECT oldest_program FROM postpone_migrations ORDER BY version"), expected);
}

struct Damage {
  std::string name, done, reported;
};
void PrintTo(const Damage& damage, std::ostream* out) {
  *out << damage.name;
}

class DamagedSchema : public ::testing::TestWithParam<Damage> {};

TEST_P(DamagedSchema, IsNamedAndMended) {
  const TestDatabase database;
  Session session(database);
  session.rows("SELECT postpone_defer('wash')");
  session.rows(GetParam().done);
  const SchemaReport report = sql::check_schema(options_for(database));
  EXPECT_EQ(report.state, State::damaged);
  EXPECT_THAT(report.missing, ElementsAre(HasSubstr(GetParam().reported)));
  EXPECT_THAT(sql::explain(report), HasSubstr(GetParam().reported));
  EXPECT_THAT(sql::explain(report), HasSubstr(": run: postpone schema apply"));
  sql::apply_schema(options_for(database));
  EXPECT_EQ(sql::check_schema(options_for(database)).state, State::current);
  EXPECT_EQ(session.value("SELECT count(*) FROM procrastinate_jobs"), "1");
}

INSTANTIATE_TEST_SUITE_P(
    , DamagedSchema,
    ::testing::Values(
        Damage{"TriggerGone", "DROP TRIGGER postpone_jobs_updated ON procrastinate_jobs",
               "trigger postpone_jobs_updated"},
        Damage{"TriggerDisabled", "ALTER TABLE procrastinate_jobs DISABLE TRIGGER postpone_jobs_inserted",
               "trigger postpone_jobs_inserted"},
        Damage{"FunctionGone", "DROP FUNCTION procrastinate_fetch_job_v2",
               "function procrastinate_fetch_job_v2("},
        Damage{"UniqueIndexGone", "DROP INDEX procrastinate_jobs_lock_idx_v1",
               "unique index procrastinate_jobs_lock_idx_v1"},
        Damage{"UniqueIndexSaysSomethingElse",
               "DROP INDEX procrastinate_jobs_queueing_lock_idx_v1;"
               "CREATE UNIQUE INDEX procrastinate_jobs_queueing_lock_idx_v1 ON procrastinate_jobs "
               "(queueing_lock) WHERE status = 'doing'",
               "unique index procrastinate_jobs_queueing_lock_idx_v1 btree (queueing_lock) WHERE status = "
               "'todo'"},
        Damage{"IndexGone", "DROP INDEX postpone_jobs_due_idx", "index postpone_jobs_due_idx"},
        Damage{"ForeignKeyGone",
               "ALTER TABLE procrastinate_jobs DROP CONSTRAINT procrastinate_jobs_worker_id_fkey",
               "procrastinate_jobs: FOREIGN KEY (worker_id) REFERENCES procrastinate_workers(id) ON DELETE "
               "SET NULL"},
        Damage{"ForeignKeySaysSomethingElse",
               "ALTER TABLE procrastinate_events DROP CONSTRAINT procrastinate_events_job_id_fkey, ADD "
               "FOREIGN KEY (job_id) REFERENCES procrastinate_jobs (id)",
               "procrastinate_events: FOREIGN KEY (job_id) REFERENCES procrastinate_jobs(id) ON DELETE "
               "CASCADE"},
        Damage{
            "ProcrastinatesTriggerIsBack",
            "CREATE FUNCTION procrastinate_old() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
            "CREATE TRIGGER procrastinate_old AFTER INSERT ON procrastinate_jobs FOR EACH ROW EXECUTE "
            "FUNCTION "
            "procrastinate_old()",
            "no other trigger procrastinate_old"}),
    [](const auto& info) { return info.param.name; });

TEST(Schema, OverloadedFunctionIsLeftToPeople) {
  const TestDatabase database;
  Session session(database);
  session.rows("CREATE FUNCTION procrastinate_update_heartbeat_v1(integer) RETURNS void LANGUAGE sql AS ''");
  const SchemaReport report = sql::check_schema(options_for(database));
  EXPECT_EQ(report.state, State::damaged);
  EXPECT_THAT(sql::explain(report),
              HasSubstr("no other function procrastinate_update_heartbeat_v1(integer)"));
  EXPECT_THROW(sql::apply_schema(options_for(database)), sql::DatabaseError);
}

// --- adoption ---

class Adoption : public ::testing::Test {
 protected:
  Adoption() : session(database) { session.rows(procrastinate()); }
  const TestDatabase database{Schema::none};
  Session session;
};

TEST_F(Adoption, IsOfferedThenDone) {
  const SchemaReport report = sql::check_schema(options_for(database));
  EXPECT_EQ(report.state, State::adoptable);
  EXPECT_EQ(sql::explain(report),
            "schema \"public\" holds Procrastinate's tables, which Postpone has not adopted yet: run: "
            "postpone schema "
            "apply");
  EXPECT_THAT(sql::apply_schema(options_for(database)), SizeIs(sql::migrations().size() + 1));
  EXPECT_EQ(sql::check_schema(options_for(database)).state, State::current);
}

TEST_F(Adoption, KeepsEveryRow) {
  const std::string all =
      "SELECT j::text FROM procrastinate_jobs j UNION ALL SELECT e::text FROM procrastinate_events e UNION "
      "ALL"
      " SELECT p::text FROM procrastinate_periodic_defers p UNION ALL SELECT w::text FROM "
      "procrastinate_workers w";
  const Values before = session.rows(all);
  sql::apply_schema(options_for(database));
  EXPECT_EQ(session.rows(all), before);
}

TEST_F(Adoption, WorkGoesOnWhereItWas) {
  sql::apply_schema(options_for(database));
  EXPECT_EQ(session.value("SELECT id FROM procrastinate_fetch_job_v2(NULL, 1)"), "8");  // priority 5
  EXPECT_EQ(session.value("SELECT id FROM procrastinate_fetch_job_v2(NULL, 1)"), "∅");  // 6 waits for `disk`
  EXPECT_EQ(session.value("SELECT procrastinate_finish_job_v1(5, 'aborted', false)"), "");
  EXPECT_EQ(session.value("SELECT id FROM procrastinate_fetch_job_v2(NULL, 1)"), "6");
  EXPECT_EQ(session.value("SELECT status FROM postpone_retry_job(2)"), "todo");
  EXPECT_EQ(
      session.value("SELECT procrastinate_defer_periodic_job_v2('default', NULL, NULL, 'app.sweep', 0, '',"
                    " 1700000000, '{}')"),
      "∅");
}

TEST_F(Adoption, ReplacesTheTriggersSoThatNoEventIsWrittenTwice) {
  sql::apply_schema(options_for(database));
  const std::string id = session.value("SELECT postpone_defer('app.mail')");
  EXPECT_EQ(session.rows("SELECT type FROM procrastinate_events WHERE job_id = " + id), (Values{"deferred"}));
  session.rows("DELETE FROM procrastinate_jobs WHERE id = 9");
  EXPECT_EQ(session.value("SELECT job_id FROM procrastinate_periodic_defers"), "∅");
}

TEST_F(Adoption, LeavesOlderFunctionsToWhoeverCallsThem) {
  sql::apply_schema(options_for(database));
  EXPECT_EQ(session.value("SELECT id FROM procrastinate_fetch_job_v1(NULL)"), "∅");
}

TEST_F(Adoption, EndsALeaseWithoutReadingAllJobs) {
  sql::apply_schema(options_for(database));
  session.rows("SET enable_seqscan = off");
  EXPECT_THAT(session.rows("EXPLAIN UPDATE procrastinate_jobs SET worker_id = NULL WHERE worker_id = 1"),
              Contains(HasSubstr("idx_procrastinate_jobs_worker_not_null")));
}

TEST_F(Adoption, LetsItsRolesWorkAsBefore) {
  const std::string role = database.name() + "_app";
  session.rows("CREATE ROLE " + role +
               "; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO " + role +
               "; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO " + role);
  sql::apply_schema(options_for(database));
  session.rows("SET ROLE " + role);
  EXPECT_EQ(session.value("SELECT postpone_defer('app.mail', queueing_lock => 'once')"), "11");
  EXPECT_EQ(session.value("SELECT postpone_register_worker('s', 'h', 'w', 1)"), "3");
  session.rows("SELECT FROM postpone_fetch_jobs('{default}', 3, 2)");
  EXPECT_EQ(session.value("SELECT postpone_defer('app.mail', queueing_lock => 'once')"), "12");
  session.rows("SELECT procrastinate_retry_job_v2(11, now(), NULL, NULL, NULL)");
  EXPECT_EQ(session.value("SELECT cause FROM postpone_attempts WHERE job_id = 11"), "superseded");
  EXPECT_EQ(session.value("SELECT count(*) FROM postpone_migrations"),
            std::to_string(sql::migrations().size()));
  session.rows("RESET ROLE; DROP OWNED BY " + role + "; DROP ROLE " + role);
}

// As when a superuser adopts what belongs to an application: its owner goes on alone, its roles with it.
TEST_F(Adoption, BySomebodyElseLeavesTheOwnerInCharge) {
  const std::string owner = database.name() + "_owner";
  const std::string app = database.name() + "_app";
  session.rows("CREATE ROLE " + owner + "; CREATE ROLE " + app +
               "; ALTER TABLE procrastinate_jobs OWNER TO " + owner +
               "; ALTER TABLE procrastinate_events OWNER TO " + owner +
               "; ALTER TABLE procrastinate_workers OWNER TO " + owner +
               "; ALTER TABLE procrastinate_periodic_defers OWNER TO " + owner);
  sql::apply_schema(options_for(database));
  EXPECT_THAT(session.rows("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"),
              ElementsAre(owner));
  EXPECT_EQ(session.value("SELECT proowner::regrole FROM pg_proc WHERE proname = 'postpone_fetch_jobs'"),
            owner);
  EXPECT_EQ(session.value("SELECT typowner::regrole FROM pg_type WHERE typname = 'postpone_cause'"), owner);

  // A role that comes later: the next apply finds it, though it has nothing else to do.
  session.rows(
      "GRANT SELECT, INSERT, UPDATE, DELETE ON procrastinate_jobs, procrastinate_events, "
      "procrastinate_workers TO " +
      app + "; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO " + app);
  EXPECT_THAT(sql::apply_schema(options_for(database)), IsEmpty());
  for (const std::string& role : {owner, app}) {
    SCOPED_TRACE(role);
    session.rows("SET ROLE " + role);
    const std::string worker = session.value("SELECT postpone_register_worker('s', 'h', 'w', 1)");
    const std::string id = session.value("SELECT postpone_defer('app.mail', priority => 99)");
    EXPECT_EQ(session.value("SELECT id FROM postpone_fetch_jobs(NULL, " + worker + ", 1)"), id);
    EXPECT_EQ(session.value("SELECT status FROM postpone_finish_jobs(" + worker + ", '[{\"job_id\": " + id +
                            ", \"attempt\": 1, \"action\": \"succeed\"}]')"),
              "succeeded");
    session.rows("RESET ROLE");
  }
  session.rows("DROP OWNED BY " + owner + ", " + app + "; DROP ROLE " + owner + ", " + app);
}

// The client holds the jobs table and then wants the periodic one, which apply has locked by then. The server
// ends one of the two: mostly apply, since it has waited first, and then it tries again.
TEST_F(Adoption, SurvivesADeadlockWithAClientAtWork) {
  session.rows(
      "SET deadlock_timeout = '20s'; BEGIN;"
      "UPDATE procrastinate_jobs SET task_name = 'app.letter' WHERE id = 8");
  auto applied =
      std::async(std::launch::async, [&] { return sql::apply_schema(options_for(database)).size(); });
  Session observer(database);
  const std::string waiting =
      "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database "
      "WHERE datname = current_database())";
  while (observer.value(waiting) == "0") std::this_thread::sleep_for(std::chrono::milliseconds(1));
  try {
    session.rows("SELECT FROM procrastinate_periodic_defers; COMMIT");
  } catch (const SqlError& error) {
    EXPECT_EQ(error.sqlstate, "40P01");
    session.rows("ROLLBACK");
  }
  EXPECT_EQ(applied.get(), sql::migrations().size() + 1);
  EXPECT_EQ(sql::check_schema(options_for(database)).state, State::current);
}

TEST_F(Adoption, OlderThanItsWorkersTableIsRefused) {
  session.rows("ALTER TABLE procrastinate_jobs DROP COLUMN worker_id");
  try {
    sql::apply_schema(options_for(database));
    FAIL();
  } catch (const sql::DatabaseError& error) {
    EXPECT_THAT(error.what(), HasSubstr("older than 3.2"));
  }
  EXPECT_EQ(session.value("SELECT to_regclass('postpone_migrations')"), "∅");
}

}  // namespace
}  // namespace postpone::tests
