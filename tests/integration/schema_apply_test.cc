// `postpone schema apply` where there is no schema yet, and which one of a search path it is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "sql/embedded.h"
#include "sql/error.h"
#include "sql/schema.h"
#include "tests/integration/schema_fixture.h"
#include "tests/integration/session.h"
#include "tests/support/database.h"

namespace postpone::tests {
namespace {

using sql::SchemaReport;
using State = sql::SchemaReport::State;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

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

}  // namespace
}  // namespace postpone::tests
