// Databases whose defaults are not the server's: whatever ALTER DATABASE … SET says, the schema is installed
// and judged the same, and jobs run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/cli.h"
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

struct Setting {
  std::string name, value;
};
void PrintTo(const Setting& setting, std::ostream* out) {
  *out << setting.name << " = " << setting.value;
}

// What changes how the server writes values and definitions, reads ours, plans, or loses patience.
const std::vector<Setting>& settings() {
  static const std::vector<Setting> all = {
      {"quote_all_identifiers", "on"},
      {"array_nulls", "off"},
      {"DateStyle", "'SQL, DMY'"},
      {"IntervalStyle", "sql_standard"},
      {"TimeZone", "'Asia/Kathmandu'"},
      {"standard_conforming_strings", "off"},
      {"backslash_quote", "off"},
      {"bytea_output", "escape"},
      {"extra_float_digits", "-15"},
      {"search_path", "'$user', nowhere, \"No Where\", public, pg_catalog"},
      {"default_transaction_isolation", "serializable"},
      {"default_transaction_deferrable", "on"},
      {"check_function_bodies", "off"},
      {"client_encoding", "LATIN1"},
      {"client_min_messages", "error"},
      {"row_security", "off"},
      {"transform_null_equals", "on"},
      {"plan_cache_mode", "force_custom_plan"},
      {"enable_indexscan", "off"},
      {"enable_nestloop", "off"},
      {"join_collapse_limit", "1"},
      {"geqo_threshold", "2"},
      {"jit_above_cost", "0"},
      {"plpgsql.extra_errors", "'all'"},
      {"plpgsql.variable_conflict", "use_variable"},
      {"idle_in_transaction_session_timeout", "'100ms'"}};
  return all;
}

class HostileSettings : public testing::Test {
 protected:
  void set(const Setting& setting) const {
    database_.execute("ALTER DATABASE " + database_.name() + " SET " + setting.name + " = " + setting.value);
  }
  ProgramRun cli(std::vector<std::string> arguments) const {
    return postpone_on(database_.url(), std::move(arguments));
  }
  void expect_done(const std::vector<std::string>& arguments) const {
    const ProgramRun run = cli(arguments);
    EXPECT_EQ(run.exit_status, kDone) << testing::PrintToString(arguments) << "\n"
                                      << run.output << run.errors;
  }
  std::string sql(const std::string& statement) const { return database_.execute(statement); }

  const TestDatabase database_{Schema::none};
};

class EachHostileSetting : public HostileSettings, public testing::WithParamInterface<Setting> {};

TEST_P(EachHostileSetting, LeavesTheSchemaAsItIsEverywhere) {
  set(GetParam());
  expect_done({"schema", "apply"});
  expect_done({"schema", "check"});
  EXPECT_THAT(cli({"schema", "apply"}).output, HasSubstr("nothing to do"));
}

INSTANTIATE_TEST_SUITE_P(, EachHostileSetting, testing::ValuesIn(settings()), [](const auto& info) {
  std::string name = info.param.name;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
});

// Migrations are run again where something is missing: they compare definitions, too.
TEST_F(HostileSettings, QuotedNamesAreNoReasonToBuildForeignKeysAndIndexesAnew) {
  expect_done({"schema", "apply"});
  const std::string keys =
      "SELECT string_agg(oid::text, ' ' ORDER BY oid) FROM (SELECT oid FROM pg_constraint WHERE contype = "
      "'f' UNION ALL "
      "SELECT indexrelid FROM pg_index WHERE indisunique AND indpred IS NOT NULL) AS key";
  const std::string before = sql(keys);
  sql("DROP FUNCTION postpone_heartbeat");
  set({"quote_all_identifiers", "on"});
  expect_done({"schema", "apply"});
  EXPECT_EQ(sql(keys), before);
}

// Protects what is there from programs that do not ask; whoever applies a schema asks.
TEST_F(HostileSettings, ADatabaseThatIsReadOnlyByDefaultGetsItsSchema) {
  set({"default_transaction_read_only", "on"});
  expect_done({"schema", "apply"});
  expect_done({"schema", "check"});
}

TEST_F(HostileSettings, ImpatienceIsNotForMigrations) {
  set({"lock_timeout", "'1ms'"});
  set({"statement_timeout", "'2s'"});
  expect_done({"schema", "apply"});
  expect_done({"schema", "check"});
}

TEST_F(HostileSettings, TheServersOwnSchemaIsNoPlaceForTables) {
  set({"search_path", "pg_catalog, public"});
  for (const char* command : {"apply", "check"}) {
    const ProgramRun run = cli({"schema", command});
    EXPECT_EQ(run.exit_status, kSchema);
    EXPECT_THAT(run.errors, AllOf(HasSubstr("pg_catalog"), HasSubstr("search_path")));
  }
}

// All of them at once: a defer, a fetch, a finish, every list, and what the housekeeper does.
TEST_F(HostileSettings, JobsRunUnderAllOfThem) {
  for (const Setting& setting : settings()) set(setting);
  set({"jit", "off"});  // to compile every plan is slow, and no more
  expect_done({"schema", "apply"});
  expect_done({"schema", "roles"});
  Family family(database_.url(),
                "[supervisor]\nheartbeat_interval = \"2s\"\nfence_after = \"20s\"\nstalled_after = "
                "\"30s\"\npolling_interval = \"500ms\"\n" +
                    group("m", kMisbehave, 2));
  family.wait_until_ready(2);
  expect_done(
      {"defer", "misbehave.noop", "--queue", "m", "--lock", "O'Brien \\ \"x\"", "--queueing-lock", "NULL"});
  expect_done({"defer", "misbehave.noop", "--queue", "m", "--in", "300ms"});
  expect_done({"defer", "misbehave.once", "--queue", "m"});
  expect_done({"defer", "misbehave.noop", "--queue", "m", "--at", "2026-02-03T04:05:06+01:00"});
  sql("SELECT set_config('search_path', 'public', false)");
  EXPECT_TRUE(eventually([&] {
    return sql("SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'") == "4";
  })) << family.log();
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_jobs WHERE scheduled_at = '2026-02-03 03:05:06+00'"),
            "1");
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_jobs WHERE lock = E'O\\'Brien \\\\ \"x\"' AND "
                "queueing_lock = 'NULL'"),
            "1");

  const std::string id = sql("SELECT postpone_defer('misbehave.wait', queue => 'm')");
  ASSERT_TRUE(
      eventually([&] { return sql("SELECT status FROM procrastinate_jobs WHERE id = " + id) == "doing"; }));
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"jobs", "list"},
                                             {"jobs", "count"},
                                             {"jobs", "show", id},
                                             {"queues"},
                                             {"tasks"},
                                             {"locks"},
                                             {"workers"},
                                             {"stalled", "list"},
                                             {"jobs", "cancel", id, "--abort"}})
    expect_done(command);
  EXPECT_TRUE(eventually([&] {
    return sql("SELECT status FROM procrastinate_jobs WHERE id = " + id) == "aborted";
  })) << family.log();
  expect_done({"jobs", "retry", id, "--in", "1h"});
  expect_done({"jobs", "purge", "--status", "succeeded", "--older-than", "1s", "--dry-run"});
  EXPECT_EQ(family.stop().code, 0) << family.log();
  EXPECT_THAT(family.log(), Not(HasSubstr("SQLSTATE")));
}

TEST_F(HostileSettings, APurgeCountsByMomentsHoweverTheServerWritesThem) {
  set({"DateStyle", "'SQL, DMY'"});
  set({"TimeZone", "'Asia/Kolkata'"});  // IST is Israel's, too
  expect_done({"schema", "apply"});
  sql("INSERT INTO procrastinate_jobs (queue_name, task_name, status) VALUES ('q', 't', 'succeeded'), ('q', "
      "'t', "
      "'succeeded'); INSERT INTO procrastinate_events (job_id, type, at) VALUES (1, 'succeeded', now() - "
      "interval '61 "
      "minutes'), (2, 'succeeded', now() - interval '59 minutes')");
  EXPECT_THAT(cli({"jobs", "purge", "--status", "succeeded", "--older-than", "1h"}).output, HasSubstr("1 "));
  EXPECT_EQ(sql("SELECT string_agg(id::text, ' ') FROM procrastinate_jobs"), "2");
}

// --- what cannot hold our text ---

class Encodings : public testing::TestWithParam<std::string> {};

TEST_P(Encodings, OtherThanUtf8AreRefusedInOneLineThatSaysWhatToDo) {
  const TestDatabase server(Schema::none);
  const std::string name = server.name() + "_other";
  server.execute("CREATE DATABASE " + name + " ENCODING '" + GetParam() + "' LOCALE 'C' TEMPLATE template0");
  const std::string url = test_server_url(name);
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"schema", "apply"}, {"schema", "check"}, {"schema", "roles"}, {"defer", "t"}}) {
    const ProgramRun run = postpone_on(url, command);
    EXPECT_EQ(run.exit_status, kSchema) << run.errors;
    EXPECT_THAT(run.errors, AllOf(HasSubstr("\"" + name + "\" has the encoding " + GetParam()),
                                  HasSubstr("ENCODING 'UTF8' TEMPLATE template0")));
    EXPECT_EQ(std::count(run.errors.begin(), run.errors.end(), '\n'), 1);
  }
  // Installed by other means, it is refused all the same, before anything is started.
  {
    Family family(url, group("m", kMisbehave, 1));
    EXPECT_EQ(family.wait().code, 5);
    EXPECT_THAT(family.log(), HasSubstr("has the encoding " + GetParam()));
  }
  server.execute("DROP DATABASE " + name + " WITH (FORCE)");
}

INSTANTIATE_TEST_SUITE_P(, Encodings, testing::Values("LATIN1", "SQL_ASCII", "EUC_JP"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace postpone::tests
