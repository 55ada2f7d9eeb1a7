#include "sql/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "sql/error.h"
#include "tests/support/database.h"
#include "tests/support/database_error.h"
#include "tests/support/eventually.h"
#include "tests/support/silence.h"

namespace postpone::sql {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using tests::error_of;
using tests::Schema;
using tests::SilentPort;
using tests::TestDatabase;

ConnectOptions options_for(const std::string& url) {
  ConnectOptions options;
  options.url = url;
  options.application_name = "connection test";
  return options;
}

DatabaseError error_of_connecting(const ConnectOptions& options) {
  return error_of([&] { const Connection connection(options); });
}

class AConnection : public testing::Test {
 protected:
  const TestDatabase database{Schema::none};
  Connection connection{options_for(database.url())};
};

TEST_F(AConnection, ReadsWhatItWrote) {
  const auto when = SystemTime(std::chrono::microseconds(1'700'000'000'123'456));
  const Result result =
      connection.query("select $1::text, $2::bigint, $3::double precision, $4::boolean, $5::text, " +
                           microseconds_of("$6::timestamptz"),
                       {"it's \"ü\"\n", to_parameter(std::numeric_limits<std::int64_t>::min()),
                        to_parameter(0.1), to_parameter(true), std::nullopt, to_parameter(when)});
  const Row row = result.only();
  EXPECT_EQ(row.get<std::string>(0), "it's \"ü\"\n");
  EXPECT_EQ(row.get<std::int64_t>(1), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(row.get<double>(2), 0.1);
  EXPECT_TRUE(row.get<bool>(3));
  EXPECT_EQ(row.get<std::optional<std::string>>(4), std::nullopt);
  EXPECT_EQ(row.get<SystemTime>(5), when);
}

TEST_F(AConnection, ReadsTimesWhateverTheSessionPrefers) {
  connection.script("set timezone = 'Asia/Kathmandu'; set datestyle = 'German'");
  const auto when = SystemTime(std::chrono::microseconds(-1));
  const Result result =
      connection.query("select " + microseconds_of("$1::timestamptz"), {to_parameter(when)});
  EXPECT_EQ(result.only().get<SystemTime>(0), when);
}

TEST_F(AConnection, KeepsInfinity) {
  for (const SystemTime end : {SystemTime::max(), SystemTime::min()}) {
    const Result result =
        connection.query("select " + microseconds_of("$1::timestamptz"), {to_parameter(end)});
    EXPECT_EQ(result.only().get<SystemTime>(0), end);
  }
  EXPECT_EQ(connection.query("select " + microseconds_of("null::timestamptz"))
                .only()
                .get<std::optional<SystemTime>>(0),
            std::nullopt);
}

TEST_F(AConnection, ReadsEveryMomentThatTheDatabaseHolds) {
  const auto read = [this](const std::string& at) {
    return connection.query(
        "select " + microseconds_of("$1::timestamptz") + ", " + seconds_since("$1::timestamptz"), {at});
  };
  const auto last = read("294276-12-31 23:59:59.999999+00").only().get<DatabaseTime>(0);
  EXPECT_EQ(last.seconds(), 9'224'318'015'999);
  EXPECT_EQ(last.microseconds(), 999'999);
  EXPECT_EQ(read("4714-11-24 00:00:00.25+00 BC").only().get<DatabaseTime>(0).seconds(), -210'866'803'200);
  EXPECT_EQ(read("4714-11-24 00:00:00.25+00 BC").only().get<DatabaseTime>(0).microseconds(), 250'000);
  EXPECT_EQ(read("3000-01-01+00").only().get<DatabaseTime>(0).seconds(), 32'503'680'000);
  EXPECT_LT(read("294276-12-31+00").only().get<double>(1), -9e12);
  EXPECT_EQ(read("294276-12-31+00").only().get<SystemTime>(0), SystemTime::max()) << "as near as it gets";
  EXPECT_EQ(read("infinity").only().get<DatabaseTime>(0), DatabaseTime::infinity());
  EXPECT_EQ(read("infinity").only().get<double>(1), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(read("-infinity").only().get<double>(1), std::numeric_limits<double>::infinity());
}

TEST_F(AConnection, ArraysKeepAnyText) {
  const std::vector<std::string> texts = {"a", "", "b,c", "{x}", "say \"y\"", "\\", "NULL", " "};
  const Result result = connection.query("select unnest($1::text[])", {to_parameter(texts)});
  std::vector<std::string> read;
  for (const Row row : result) read.push_back(row.get<std::string>(0));
  EXPECT_EQ(read, texts);
}

TEST_F(AConnection, RefusesWhatIsNotOfTheType) {
  const Result result = connection.query("select 'x', null");
  EXPECT_THROW(result.only().get<int>(0), DatabaseError);
  EXPECT_THROW(result.only().get<std::string>(1), DatabaseError);
  EXPECT_THROW(connection.query("select 1 where false").only(), DatabaseError);
  EXPECT_THROW(connection.query("select $1::text", {std::string("a\0b", 3)}), DatabaseError);
}

TEST_F(AConnection, APipelineIsOneTransaction) {
  connection.script("create table plates (id int)");
  const auto error = error_of([&] {
    connection.pipeline({{"insert into plates values (1)", {}},
                         {"select 1 / $1::int", {"0"}},
                         {"insert into plates values (2)", {}}});
  });
  EXPECT_EQ(error.sqlstate(), "22012");
  EXPECT_EQ(database.execute("select count(*) from plates"), "0");

  const auto results =
      connection.pipeline({{"insert into plates values (3)", {}}, {"select id from plates", {}}});
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[1].only().get<int>(0), 3);
  EXPECT_EQ(database.execute("select count(*) from plates"), "1");
}

TEST_F(AConnection, APipelineCarriesMoreThanTheSocketHolds) {
  const std::string large(3'000'000, 'x');
  const std::vector<Statement> statements(5, {"select $1::text", {large}});
  for (const Result& result : connection.pipeline(statements))
    EXPECT_EQ(result.only().text(0).size(), large.size());
}

TEST_F(AConnection, AScriptIsOneTransactionAndNamesTheLine) {
  const auto error =
      error_of([&] { connection.script("create table plates (id int);\n-- ü\n\nfrobnicate;\n"); });
  EXPECT_STREQ(error.what(), "syntax error at or near \"frobnicate\" (SQLSTATE 42601), line 4");
  EXPECT_EQ(database.execute("select to_regclass('plates')"), "");
  connection.script("create table plates (id int); create table cups (id int)");
  EXPECT_EQ(database.execute("select to_regclass('cups')"), "cups");
}

TEST_F(AConnection, HoldsATransactionOpenOnRequest) {
  connection.query("begin");
  connection.query("create table plates (id int)");
  connection.query("rollback");
  EXPECT_EQ(database.execute("select to_regclass('plates')"), "");
}

TEST_F(AConnection, LeavesNothingInTheSession) {
  connection.query("select $1::int", {"1"});
  connection.pipeline({{"select $1::int", {"1"}}, {"select 2", {}}});
  EXPECT_TRUE(connection.query("select * from pg_prepared_statements").empty());
  // The statement that looks has its own limit of time; a script has none.
  EXPECT_TRUE(
      connection
          .query(
              "select from pg_settings where source = 'session' and name not in ('statement_timeout', 'jit')")
          .empty());
  connection.script("do $$ begin assert current_setting('statement_timeout') = '0'; end $$");
}

// A connection that waits for the next job idles on purpose.
TEST_F(AConnection, MayIdleWhateverTheDatabaseSays) {
  database.execute("alter database " + database.name() + " set idle_session_timeout = '50ms'");
  Connection patient(options_for(database.url()));
  patient.query("select 1");
  EXPECT_EQ(patient.query("show idle_session_timeout").only().get<std::string>(0), "0");
  const auto sessions =
      "select count(*) from pg_stat_activity where state_change < now() - interval '150ms'"
      " and state = 'idle' and pid = " +
      patient.query("select pg_backend_pid()").only().get<std::string>(0);
  EXPECT_TRUE(tests::eventually([&] { return database.execute(sessions) == "1"; }));
  EXPECT_EQ(patient.query("select 7").only().get<int>(0), 7);
}

// A rescue in a transaction that keeps its snapshot might overlook what the dead had claimed.
TEST_F(AConnection, SeesWhatOthersCommitWhateverTheDatabaseSays) {
  database.execute("alter database " + database.name() +
                   " set default_transaction_isolation = 'repeatable read'");
  Connection another(options_for(database.url()));
  another.query("select 1");
  EXPECT_EQ(another.query("show transaction_isolation").only().get<std::string>(0), "read committed");
}

// A statement whose tables have grown may look costly enough to be compiled: that takes half a second, each time.
TEST_F(AConnection, HasNothingCompiled) {
  database.execute("alter database " + database.name() + " set jit = on");
  Connection another(options_for(database.url()));
  another.query("select 1");
  EXPECT_EQ(another.query("show jit").only().get<std::string>(0), "off");
}

TEST_F(AConnection, SaysItsNameUnlessTheUrlSaysAnother) {
  const auto name = [](Connection& one) {
    return one.query("select application_name from pg_stat_activity where pid = pg_backend_pid()")
        .only()
        .get<std::string>(0);
  };
  EXPECT_EQ(name(connection), "connection test");
  Connection named(options_for(database.url() + " application_name=mine"));
  EXPECT_EQ(name(named), "mine");
  EXPECT_GE(connection.server_version(), 130000);
}

TEST_F(AConnection, TicksWhileItWaitsAndEndsWhenATickThrows) {
  struct Stop {};
  int ticks = 0;
  ConnectOptions options = options_for(database.url());
  options.on_tick = [&ticks] {
    if (++ticks == 2) throw Stop();
  };
  Connection patient(options);
  EXPECT_THROW(patient.query("select pg_sleep(600)"), Stop);
  EXPECT_EQ(error_of([&] { patient.query("select 1"); }).remedy(), Remedy::reconnect);
}

TEST_F(AConnection, GivesUpASilentServer) {
  ConnectOptions options = options_for(database.url());
  options.statement_timeout = 100ms;
  Connection impatient(options);
  const auto error = error_of([&] { impatient.script("select pg_sleep(600)"); });
  EXPECT_EQ(error.remedy(), Remedy::reconnect);
  EXPECT_STREQ(error.what(), "no answer from the database within 100 ms");
}

TEST_F(AConnection, LeavesNoBackendBehindThatWaitsForALock) {
  connection.script("create table plates (id int)");
  connection.query("begin");
  connection.query("lock table plates");
  ConnectOptions options = options_for(database.url());
  options.statement_timeout = 500ms;
  options.application_name = "impatient";
  for (int i = 0; i < 3; ++i) {
    Connection impatient(options);
    const auto error = error_of([&] { impatient.query("select * from plates"); });
    EXPECT_TRUE(error.remedy() == Remedy::wait || error.remedy() == Remedy::reconnect) << error.what();
  }
  EXPECT_TRUE(tests::eventually([&] {
    return database.execute("select count(*) from pg_stat_activity where application_name = 'impatient'") ==
           "0";
  }));
}

TEST_F(AConnection, KeepsALimitOfTheServerToTheEndOfATransaction) {
  connection.query("begin");
  connection.query("select 1");
  EXPECT_EQ(connection.query("show statement_timeout").only().get<std::string>(0), "27s");
  EXPECT_THROW(connection.query("select 1 / 0"), DatabaseError);
  connection.query("rollback");
}

TEST_F(AConnection, ThatTheServerEndedSaysWhy) {
  const auto error = error_of([&] {
    connection.pipeline(
        {{"select pg_terminate_backend(pg_backend_pid())", {}}, {"select pg_sleep(600)", {}}});
  });
  EXPECT_EQ(error.remedy(), Remedy::reconnect);
  EXPECT_EQ(error.sqlstate(), "57P01");
  EXPECT_EQ(error_of([&] { connection.query("select 1"); }).remedy(), Remedy::reconnect);
}

TEST_F(AConnection, ThatBrokeWhileIdleAsksForANewOne) {
  const auto pid = connection.query("select pg_backend_pid()").only().get<std::string>(0);
  database.execute("select pg_terminate_backend(" + pid + ", 30000)");
  EXPECT_EQ(error_of([&] { connection.query("select 1"); }).remedy(), Remedy::reconnect);
}

TEST_F(AConnection, WithoutTheSchemaSaysWhatToRun) {
  const auto error = error_of([&] { connection.query("select * from procrastinate_jobs"); });
  EXPECT_EQ(error.remedy(), Remedy::bug);
  EXPECT_THAT(error.what(), HasSubstr("run: postpone schema apply"));
}

TEST_F(AConnection, IsRefusedForGood) {
  const auto no_role = error_of_connecting(options_for(database.url() + " user=nobody_of_that_name"));
  EXPECT_EQ(no_role.remedy(), Remedy::bug) << no_role.what();
  EXPECT_EQ(no_role.sqlstate(), "28000");
  const auto no_database = error_of_connecting(options_for(database.url() + " dbname=none_of_that_name"));
  EXPECT_EQ(no_database.remedy(), Remedy::bug) << no_database.what();
  EXPECT_EQ(no_database.sqlstate(), "3D000");
}

TEST(Connecting, ToNobodyMayBeTriedAgain) {
  const auto error = error_of_connecting(options_for("host=/nonexistent"));
  EXPECT_EQ(error.remedy(), Remedy::reconnect);
  EXPECT_THAT(error.what(), StartsWith("cannot connect to the database: "));
}

TEST(Connecting, ToASilentServerEndsInTime) {
  const SilentPort silent;
  const std::string port = std::to_string(silent.port());
  ConnectOptions options = options_for("host=127.0.0.1 dbname=x port=" + port);
  options.connect_timeout = 100ms;
  const auto error = error_of_connecting(options);
  EXPECT_EQ(error.remedy(), Remedy::reconnect);
  EXPECT_EQ(error.what(),
            "cannot connect to the database: 127.0.0.1 port " + port + " does not answer within 100 ms");
}

TEST(Connecting, TicksMeanwhile) {
  struct Stop {};
  const SilentPort silent;
  ConnectOptions options = options_for("host=127.0.0.1 dbname=x port=" + std::to_string(silent.port()));
  options.connect_timeout = 1h;
  options.on_tick = [] { throw Stop(); };
  EXPECT_THROW(Connection{options}, Stop);
}

// A slow machine gets more time, host by host, until the real one answers in it.
Connection connect_patiently(ConnectOptions options) {
  for (options.connect_timeout = 250ms;; options.connect_timeout *= 2) {
    try {
      return Connection(options);
    } catch (const DatabaseError&) {
      if (options.connect_timeout > 30s) throw;
    }
  }
}

TEST_F(AConnection, GoesToTheNextHostWhenOneIsSilentOrGone) {
  const SilentPort silent;
  const std::string directory = database.execute("show unix_socket_directories");
  const std::string ports = std::to_string(silent.port()) + ",1," + database.execute("show port");
  Connection third = connect_patiently(
      options_for(database.url() + " host=127.0.0.1,/nonexistent," + directory + " port=" + ports));
  EXPECT_EQ(third.query("select current_database()").only().get<std::string>(0), database.name());
}

TEST(Connecting, NeverShowsAPassword) {
  const std::string urls[] = {
      "host=/nonexistent password=hunter2",
      "postgresql://cook:hunter2@127.0.0.1:1/kitchen",
      "postgresql://cook:hun@ter2@127.0.0.1:1/kitchen",
      "postgresql://cook:hunter/2@127.0.0.1:1/kitchen",
      "postgresql://cook:hunter2@127.0.0.1:1/kitchen?hunter2=1",
      "postgresql://cook:hunter2%zz@127.0.0.1/",
      "postgresql+psycopg://cook:hunter2@localhost/kitchen",
      "mysql://cook:hunter2@localhost/kitchen?ssl=on",
      "cook:hunter2@localhost/kitchen",
      "host=/nonexistent password=my hunter2",
      "host=/nonexistent password=my hunter2=1",
      "host=/nonexistent password='hunter2",
  };
  for (const std::string& url : urls) {
    const auto error = error_of_connecting(options_for(url));
    EXPECT_THAT(error.what(), AllOf(Not(HasSubstr("hunter")), Not(HasSubstr("ter2")))) << url;
  }
}

}  // namespace
}  // namespace postpone::sql
