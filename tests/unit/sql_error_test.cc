#include "sql/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postpone::sql {
namespace {

using testing::HasSubstr;
using testing::Not;

template <class Error>
Error thrown_for(const ServerError& error) {
  try {
    throw_server_error(error);
  } catch (const Error& caught) {
    return caught;
  }
}

ServerError server_error(const std::string& sqlstate, const std::string& message) {
  ServerError error;
  error.sqlstate = sqlstate;
  error.message = message;
  return error;
}

ServerError queueing_lock_violation(const std::string& detail) {
  ServerError error = server_error("23505", "duplicate key value violates unique constraint");
  error.constraint = "procrastinate_jobs_queueing_lock_idx_v1";
  error.detail = detail;
  return error;
}

struct RemedyCase {
  const char* sqlstate;
  Remedy remedy;
};

TEST(Remedies, FollowTheSqlstate) {
  const RemedyCase cases[] = {
      {"", Remedy::reconnect},      {"08006", Remedy::reconnect}, {"08P01", Remedy::reconnect},
      {"57P01", Remedy::reconnect}, {"57P02", Remedy::reconnect}, {"57P03", Remedy::reconnect},
      {"57P05", Remedy::reconnect}, {"25P03", Remedy::reconnect}, {"53300", Remedy::reconnect},
      {"40001", Remedy::retry},     {"40P01", Remedy::retry},     {"55P03", Remedy::retry},
      {"53100", Remedy::wait},      {"53200", Remedy::wait},      {"25006", Remedy::reconnect},
      {"57014", Remedy::wait},      {"58030", Remedy::wait},      {"23503", Remedy::bug},
      {"23505", Remedy::bug},       {"22P02", Remedy::bug},       {"28P01", Remedy::bug},
      {"3D000", Remedy::bug},       {"42501", Remedy::bug},       {"57P04", Remedy::bug},
      {"P0001", Remedy::bug},       {"XX000", Remedy::bug},
  };
  for (const RemedyCase& one : cases) EXPECT_EQ(remedy_for(one.sqlstate), one.remedy) << one.sqlstate;
}

TEST(Doubts, AreLeftByALostConnectionOnly) {
  const auto doubtful = [](const std::string& sqlstate) {
    return DatabaseError(remedy_for(sqlstate), "", sqlstate).leaves_doubt();
  };
  for (const char* lost : {"", "08006", "57P01", "57P02"}) EXPECT_TRUE(doubtful(lost)) << lost;
  for (const char* said : {"25006", "53100", "40001", "57014", "23503"}) EXPECT_FALSE(doubtful(said)) << said;
}

TEST(Remedies, OnlyTheQueueingLockMakesAConflict) {
  EXPECT_EQ(remedy_for("23505", "procrastinate_jobs_queueing_lock_idx_v1"), Remedy::conflict);
  EXPECT_EQ(remedy_for("23505", "procrastinate_jobs_lock_idx_v1"), Remedy::bug);
}

TEST(ServerErrors, AreOneLineWithSqlstateAndDetail) {
  ServerError error = server_error("22P02", "invalid input\n syntax for type json");
  error.detail = "Token \"x\"\nis invalid.";
  const auto thrown = thrown_for<DatabaseError>(error);
  EXPECT_STREQ(thrown.what(), "invalid input syntax for type json (SQLSTATE 22P02): Token \"x\" is invalid.");
  EXPECT_EQ(thrown.sqlstate(), "22P02");
  EXPECT_EQ(thrown.remedy(), Remedy::bug);
}

TEST(ServerErrors, NameTheLineOfAScript) {
  ServerError error = server_error("42601", "syntax error at or near \"frob\"");
  error.line = 17;
  EXPECT_STREQ(thrown_for<DatabaseError>(error).what(),
               "syntax error at or near \"frob\" (SQLSTATE 42601), line 17");
}

TEST(ServerErrors, AMissingObjectOfOursSaysWhatToRun) {
  const auto table = server_error("42P01", "relation \"procrastinate_jobs\" does not exist");
  const auto function = server_error("42883", "function postpone_fetch_jobs(integer) does not exist");
  EXPECT_THAT(thrown_for<DatabaseError>(table).what(), HasSubstr("run: postpone schema apply"));
  EXPECT_THAT(thrown_for<DatabaseError>(function).what(), HasSubstr("run: postpone schema apply"));
}

TEST(ServerErrors, AMissingObjectOfSomebodyElseDoesNot) {
  const auto error = server_error("42P01", "relation \"dishes\" does not exist");
  EXPECT_THAT(thrown_for<DatabaseError>(error).what(), Not(HasSubstr("schema apply")));
}

TEST(ServerErrors, ALostConnectionAsksForANewOne) {
  const auto lost =
      thrown_for<DatabaseError>(server_error("", "server closed the connection unexpectedly\n\tThis"));
  EXPECT_EQ(lost.remedy(), Remedy::reconnect);
  EXPECT_STREQ(lost.what(),
               "the connection to the database was lost: server closed the connection unexpectedly This");
}

TEST(AlreadyEnqueuedErrors, NameTheLock) {
  const auto error =
      thrown_for<AlreadyEnqueued>(queueing_lock_violation("Key (queueing_lock)=(plate) already exists."));
  EXPECT_EQ(error.queueing_lock(), "plate");
  EXPECT_STREQ(error.what(), "already enqueued: a job with queueing lock \"plate\" waits");
  EXPECT_EQ(error.remedy(), Remedy::conflict);
  EXPECT_EQ(error.sqlstate(), "23505");
}

TEST(AlreadyEnqueuedErrors, ReadTheLockInAnyLanguageAndWithParentheses) {
  const auto german = queueing_lock_violation("Schlüssel »(queueing_lock)=(a (b) c)« existiert bereits.");
  EXPECT_EQ(thrown_for<AlreadyEnqueued>(german).queueing_lock(), "a (b) c");
}

TEST(AlreadyEnqueuedErrors, DoWithoutADetail) {
  EXPECT_EQ(thrown_for<AlreadyEnqueued>(queueing_lock_violation("")).queueing_lock(), "");
  EXPECT_EQ(thrown_for<AlreadyEnqueued>(queueing_lock_violation("Key (queueing_lock)=(")).queueing_lock(),
            "");
}

TEST(ConnectFailures, RefusedConnectionsMayBeTriedAgain) {
  const auto error = connect_failure(
      "connection to server at \"127.0.0.1\", port 1 failed: Connection refused\n"
      "\tIs the server running on that host and accepting TCP/IP connections?\n",
      false);
  EXPECT_EQ(error.remedy(), Remedy::reconnect);
  EXPECT_STREQ(
      error.what(),
      "cannot connect to the database: connection to server at \"127.0.0.1\", port 1 failed: Connection "
      "refused; Is the server running on that host and accepting TCP/IP connections?");
}

TEST(ConnectFailures, AWrongPasswordIsNoUseTryingAgain) {
  const auto error = connect_failure(
      "connection to server on socket \"/run/.s.PGSQL.5432\" failed: FATAL:  28P01: password authentication "
      "failed "
      "for user \"cook\"\nLOCATION:  auth_failed, auth.c:338\n",
      false);
  EXPECT_EQ(error.remedy(), Remedy::bug);
  EXPECT_EQ(error.sqlstate(), "28P01");
  EXPECT_STREQ(
      error.what(),
      "cannot connect to the database: connection to server on socket \"/run/.s.PGSQL.5432\" failed: "
      "password authentication failed for user \"cook\" (SQLSTATE 28P01)");
}

TEST(ConnectFailures, PgBouncersOneSqlstateIsReadByItsText) {
  const auto refused = [](const std::string& text) {
    return connect_failure("connection to server failed: FATAL:  08P01: " + text + "\n", false).remedy();
  };
  EXPECT_EQ(refused("password authentication failed"), Remedy::bug);
  EXPECT_EQ(refused("no such database: kitchen"), Remedy::bug);
  EXPECT_EQ(refused("no such user: cook"), Remedy::bug);
  EXPECT_EQ(refused("query_wait_timeout"), Remedy::reconnect);
}

TEST(ConnectFailures, AMissingPasswordIsNoUseTryingAgain) {
  const auto error =
      connect_failure("connection to server failed: fe_sendauth: no password supplied\n", true);
  EXPECT_EQ(error.remedy(), Remedy::bug);
}

TEST(ConnectFailures, AServerThatStartsUpIsWorthAWait) {
  const auto error = connect_failure(
      "connection to server at \"a\" failed: Connection refused\n"
      "connection to server at \"b\" failed: FATAL:  57P03: the database system is starting up\n",
      false);
  EXPECT_EQ(error.remedy(), Remedy::reconnect);
  EXPECT_EQ(error.sqlstate(), "57P03");
}

TEST(ConnectFailures, SeveritiesAreInTheServersLanguage) {
  const auto error =
      connect_failure("connection failed: СБОЙ:  3D000: database \"x\" does not exist\n", false);
  EXPECT_EQ(error.sqlstate(), "3D000");
  EXPECT_EQ(error.remedy(), Remedy::bug);
}

TEST(ConnectFailures, AWrongOptionIsNoUseTryingAgain) {
  EXPECT_EQ(connect_failure("invalid sslmode value: \"frob\"\n", false).remedy(), Remedy::bug);
  EXPECT_EQ(connect_failure("definition of service \"kitchen\" not found\n", false).remedy(), Remedy::bug);
}

}  // namespace
}  // namespace postpone::sql
