// What `postpone schema check` says of objects that are missing or altered, and what `apply` mends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sql/error.h"
#include "sql/schema.h"
#include "tests/integration/schema_fixture.h"
#include "tests/integration/session.h"
#include "tests/support/database.h"

namespace postpone::tests {
namespace {

using sql::SchemaReport;
using State = sql::SchemaReport::State;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

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
            "schema \"public\" is at version 14, this program at 14, with other contents of " +
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
        Alteration{"Owner", "ALTER FUNCTION postpone_jobs_gone OWNER TO pg_monitor",
                   "function postpone_jobs_gone"},
        Alteration{"Rights", "ALTER FUNCTION postpone_notify SECURITY DEFINER", "function postpone_notify"},
        Alteration{"Trigger",
                   "CREATE OR REPLACE TRIGGER postpone_jobs_updated AFTER UPDATE OF status ON "
                   "procrastinate_jobs FOR EACH STATEMENT EXECUTE FUNCTION postpone_jobs_inserted()",
                   "trigger postpone_jobs_updated on procrastinate_jobs"}),
    [](const auto& info) { return info.param.name; });

TEST(Schema, WhatAnotherProgramHasPutThereIsSurplus) {
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
  EXPECT_THAT(report.surplus, ElementsAre("function postpone_old"));
  EXPECT_THAT(sql::explain(report),
              HasSubstr(", with surplus objects: function postpone_old: run: postpone schema apply"));
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
      R"(schema "it's "here"" is at version 14, this program at 14, moved from schema "public", which its )"
      "functions still name: run: postpone schema apply");
  EXPECT_THAT(sql::apply_schema(options), ElementsAre("functions"));
  EXPECT_EQ(sql::check_schema(options).state, State::current);
  session.rows("SELECT postpone_defer('wash'); SELECT postpone_register_worker('s', 'h', 'w', 1)");
  EXPECT_EQ(session.value("SELECT id FROM postpone_fetch_jobs(NULL, 1, 1)"), "1");
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
        Damage{"IndexGone", "DROP INDEX postpone_jobs_schedule_idx", "index postpone_jobs_schedule_idx"},
        Damage{"ForeignKeyGone",
               "ALTER TABLE procrastinate_jobs DROP CONSTRAINT procrastinate_jobs_worker_id_fkey",
               "procrastinate_jobs: FOREIGN KEY (worker_id) REFERENCES procrastinate_workers(id) ON DELETE "
               "SET NULL"},
        Damage{"ForeignKeySaysSomethingElse",
               "ALTER TABLE postpone_workers DROP CONSTRAINT postpone_workers_worker_id_fkey, ADD "
               "FOREIGN KEY (worker_id) REFERENCES procrastinate_workers (id)",
               "postpone_workers: FOREIGN KEY (worker_id) REFERENCES procrastinate_workers(id) ON DELETE "
               "CASCADE"},
        Damage{"AForeignKeyIsBack",
               "ALTER TABLE procrastinate_events ADD CONSTRAINT events_job FOREIGN KEY (job_id) REFERENCES "
               "procrastinate_jobs (id) ON DELETE CASCADE",
               "no other procrastinate_events: FOREIGN KEY (job_id) REFERENCES procrastinate_jobs(id) ON "
               "DELETE CASCADE"},
        Damage{"ReferencesAreNotKept", "DROP TRIGGER postpone_jobs_gone ON procrastinate_jobs",
               "trigger postpone_jobs_gone"},
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

}  // namespace
}  // namespace postpone::tests
