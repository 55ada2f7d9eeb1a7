// What a waiting job does when another one with its queueing lock comes: refuse, keep, replace; and meta.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/fetch_fixture.h"
#include "tests/integration/session.h"

namespace postpone::tests {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string once(const std::string& on_conflict, const std::string& args = "{}",
                 const std::string& more = "") {
  return "SELECT postpone_defer('wash', '" + args + "', queueing_lock => 'once', on_conflict => '" +
         on_conflict + "'" + (more.empty() ? "" : ", " + more) + ")";
}

SqlError error_of(Session& session, const std::string& sql) {
  try {
    session.rows(sql);
  } catch (const SqlError& error) {
    return error;
  }
  throw std::runtime_error("nothing was refused: " + sql);
}

TEST_F(Queue, AReplacingDeferGivesTheWaitingJobItsArgumentsTimePriorityAndMeta) {
  app.value(once("replace", R"({"n": 1})", "queue => 'kitchen', lock => 'sink'"));
  EXPECT_EQ(app.value(once("replace", R"({"n": 2})",
                           "priority => 7, scheduled_at => '2040-01-01 00:00+00', meta => '{\"by\": 2}'")),
            "1");
  EXPECT_EQ(job(1, "args, priority, scheduled_at = '2040-01-01 00:00+00', meta, queue_name, lock, status"),
            "{\"n\": 2}|7|t|{\"by\": 2}|kitchen|sink|todo");
  EXPECT_EQ(app.value(once("replace", R"({"n": 3})")), "1");
  EXPECT_EQ(job(1, "args, priority, scheduled_at, meta"), "{\"n\": 3}|0|∅|∅");
}

TEST_F(Queue, AKeepingDeferAnswersWithTheWaitingJobAndChangesNothing) {
  app.value(once("keep", R"({"n": 1})", "scheduled_at => '2040-01-01 00:00+00'"));
  EXPECT_EQ(app.value(once("keep", R"({"n": 2})", "priority => 7")), "1");
  EXPECT_EQ(job(1, "args, priority, scheduled_at IS NOT NULL"), "{\"n\": 1}|0|t");
  EXPECT_EQ(app.value("SELECT count(*) FROM procrastinate_jobs"), "1");
}

TEST_F(Queue, AJobThatRunsIsNeitherKeptNorReplaced) {
  for (const std::string choice : {"keep", "replace"}) {
    app.rows("DELETE FROM procrastinate_jobs; ALTER SEQUENCE procrastinate_jobs_id_seq RESTART");
    app.value(once(choice));
    fetch();
    const std::string id = app.value(once(choice));
    EXPECT_EQ(app.value("SELECT status FROM procrastinate_jobs WHERE id = " + id), "todo");
    EXPECT_EQ(app.value("SELECT string_agg(status::text, ' ' ORDER BY id) FROM procrastinate_jobs"),
              "doing todo");
  }
}

TEST_F(Queue, AJobThatIsFetchedMeanwhileGivesNewWorkAJobOfItsOwn) {
  for (const std::string choice : {"keep", "replace"}) {
    SCOPED_TRACE(choice);
    app.rows("DELETE FROM procrastinate_jobs");
    app.value(once("keep", R"({"n": 1})"));
    one.rows("BEGIN");
    one.rows(fetch_sql(1));
    two.send(once(choice, R"({"n": 2})"));
    wait_until_blocked(database, two);
    one.rows("COMMIT");
    two.receive();
    EXPECT_EQ(
        app.value("SELECT string_agg(status::text || (args->>'n'), ' ' ORDER BY id) FROM procrastinate_jobs"),
        "doing1 todo2");
  }
}

// The handler is to see what the transaction that keeps its job has written.
TEST_F(Queue, AJobThatIsMetIsNotStartedBeforeThatTransactionEnds) {
  for (const std::string choice : {"keep", "replace"}) {
    SCOPED_TRACE(choice);
    app.rows("DELETE FROM procrastinate_jobs");
    app.value(once("refuse"));
    one.rows("BEGIN");
    one.rows(once(choice));
    EXPECT_THAT(fetch(), IsEmpty());
    app.rows("LISTEN " + std::string(kAnyQueue));
    payloads();
    one.rows("COMMIT");
    app.rows("SELECT 1");  // after it the server has sent what there was
    EXPECT_THAT(payloads(), ElementsAre(HasSubstr("\"count\":1")))
        << "the worker that has passed over it is to look again";
    EXPECT_THAT(fetch(), Not(IsEmpty()));
    app.rows("DELETE FROM procrastinate_jobs");
  }
}

TEST_F(Queue, ThoseWhoKeepAJobDoNotWaitForEachOther) {
  app.value(once("keep"));
  one.rows("BEGIN");
  one.rows(once("keep"));
  EXPECT_EQ(two.value(once("keep")), "1");
  one.rows("COMMIT");
}

TEST_F(Queue, OfTwoConcurrentDefersOneCreatesAndTheOtherMeets) {
  for (const std::string choice : {"keep", "replace"}) {
    for (const std::string end : {"COMMIT", "ROLLBACK"}) {
      SCOPED_TRACE(choice + " " + end);
      app.rows("DELETE FROM procrastinate_jobs");
      one.rows("BEGIN");
      const std::string first = one.value(once(choice, R"({"n": 1})"));
      two.send(once(choice, R"({"n": 2})"));
      wait_until_blocked(database, two);
      one.rows(end);
      const std::string second = two.receive().front();
      EXPECT_EQ(first == second, end == "COMMIT");
      EXPECT_EQ(app.value("SELECT string_agg(args->>'n', ' ') FROM procrastinate_jobs"),
                choice == "keep" && end == "COMMIT" ? "1" : "2");
    }
  }
}

// It got its queueing lock by hand since it was claimed.
TEST_F(Queue, AJobThatIsClaimedIsNotMet) {
  for (const std::string choice : {"keep", "replace"}) {
    SCOPED_TRACE(choice);
    app.rows("DELETE FROM procrastinate_jobs");
    defer();
    app.rows("SELECT * FROM postpone_fetch_jobs(NULL, 1, 1, may_claim => true)");
    app.rows("UPDATE procrastinate_jobs SET queueing_lock = 'once'");
    app.value(once(choice));
    EXPECT_EQ(app.value("SELECT string_agg(status::text, ' ' ORDER BY id) FROM procrastinate_jobs"),
              "doing todo");
  }
}

TEST_F(Queue, AJobOfAnotherTaskIsKeptButNotReplaced) {
  defer("queueing_lock => 'once'");
  EXPECT_EQ(app.value("SELECT postpone_defer('dry', queueing_lock => 'once', on_conflict => 'keep')"), "1");
  const SqlError error =
      error_of(app, "SELECT postpone_defer('dry', queueing_lock => 'once', on_conflict => 'replace')");
  EXPECT_EQ(error.constraint, "procrastinate_jobs_queueing_lock_idx_v1");
  EXPECT_EQ(error.detail, "Key (queueing_lock)=(once) already exists.");
  EXPECT_EQ(
      error.message,
      "job 1, which waits under queueing lock \"once\", is of task wash: a job of dry cannot replace it");
}

TEST_F(Queue, AMistakenChoiceIsNamed) {
  const SqlError error = error_of(app, once("ignore"));
  EXPECT_EQ(error.sqlstate, "22023");
  EXPECT_EQ(error.message, "on_conflict is \"ignore\": it must be refuse, keep or replace");
  EXPECT_EQ(error_of(app, "SELECT postpone_defer('wash', on_conflict => 'Keep')").sqlstate, "22023");
}

TEST_F(Queue, ManyAreDeferredInOneStatementEachWithItsChoice) {
  const std::string many =
      "SELECT job_id, disposition FROM postpone_defer_jobs('{a,b,a,a,c}', args => ARRAY['{\"n\": 1}', '{}', "
      "'{\"n\": 3}', '{\"n\": 4}']::jsonb[], queueing_locks => '{l,NULL,l,l,m}', on_conflict => "
      "'{replace,refuse,replace,keep,keep}')";
  EXPECT_THAT(app.rows(many),
              ElementsAre("1|created", "2|created", "1|replaced", "1|kept", ::testing::EndsWith("|created")));
  EXPECT_EQ(job(1, "args"), "{\"n\": 3}");
  const Values again = app.rows(many);
  EXPECT_EQ(again[0], "1|replaced");
  EXPECT_THAT(again[1], ::testing::EndsWith("|created"));
  EXPECT_THAT(again[4], ::testing::EndsWith("|kept"));
}

TEST_F(Queue, ManyAreDeferredAllOrNone) {
  defer("queueing_lock => 'once'");
  for (const std::string others : {"refuse", "keep"}) {
    const SqlError error = error_of(app,
                                    "SELECT * FROM postpone_defer_jobs('{a,b,wash}', queueing_locks => "
                                    "'{NULL,free,once}', on_conflict => '{refuse," +
                                        others + ",refuse}')");
    EXPECT_EQ(error.constraint, "procrastinate_jobs_queueing_lock_idx_v1");
    EXPECT_EQ(error.detail, "Key (queueing_lock)=(once) already exists.");
  }
  EXPECT_EQ(app.value("SELECT count(*) FROM procrastinate_jobs"), "1");
  EXPECT_THAT(app.rows("SELECT * FROM postpone_defer_jobs('{}')"), IsEmpty());
  EXPECT_EQ(error_of(app, "SELECT * FROM postpone_defer_jobs('{a,NULL}')").sqlstate, "22004");
  EXPECT_EQ(error_of(app, "SELECT * FROM postpone_defer_jobs('{a}', queues => '{p,q}')").sqlstate, "22004");
}

TEST_F(Queue, UnderRepeatableReadAJobThatCannotBeSeenMakesTheDeferGoAgain) {
  one.rows("BEGIN ISOLATION LEVEL REPEATABLE READ");
  one.rows("SELECT count(*) FROM procrastinate_jobs");
  app.value(once("keep"));
  EXPECT_EQ(error_of(one, once("keep")).sqlstate, "40001");
}

// What psycopg sends for Json and Jsonb, what it and other drivers send for a text, and a literal.
TEST_F(Queue, ArgumentsMayBeJsonJsonbOrALiteral) {
  for (const std::string args : {"'{\"a\": 1}'", "'{\"a\": 1}'::json", "'{\"a\": 1}'::jsonb"}) {
    for (const std::string task : {"'t'", "'t'::text", "'t'::varchar"})
      EXPECT_NO_THROW(app.value("SELECT postpone_defer(" + task + ", " + args + ", queue => 'q')"))
          << task << args;
  }
  constexpr Oid kJson = 114;
  app.value("SELECT postpone_defer($1, $2, meta => $3)",
            {untyped("t"), Param{R"({"a": 1})", kJson}, Param{R"({"b": 2})", kJson}});
  app.value("SELECT postpone_defer($1, $2, meta => $3)",
            {untyped("t"), jsonb(R"({"a": 1})"), jsonb(R"({"b": 2})")});
  app.value("SELECT postpone_defer($1, $2, meta => $3)",
            {untyped("t"), untyped(R"({"a": 1})"), untyped(R"({"b": 2})")});
  EXPECT_EQ(app.value("SELECT count(*) FROM procrastinate_jobs WHERE args = '{\"a\": 1}'"), "12");
  EXPECT_EQ(app.value("SELECT count(*) FROM procrastinate_jobs WHERE meta = '{\"b\": 2}'"), "3");
  app.value("SELECT postpone_defer('t'::varchar)");
  EXPECT_EQ(app.value("SELECT args FROM procrastinate_jobs ORDER BY id DESC LIMIT 1"), "{}");
}

TEST_F(Queue, MetaIsAnObjectOfABoundedSizeWhoeverWritesIt) {
  const SqlError array = error_of(app, "SELECT postpone_defer('t', meta => '[1]')");
  EXPECT_EQ(array.sqlstate, "22023");
  EXPECT_EQ(array.message, "the meta of a job is a JSON object, and not of the type array");
  const std::string large = "jsonb_build_object('x', repeat('x', 9000))";
  for (const std::string& statement :
       {"SELECT postpone_defer('t', meta => " + large + ")",
        "SELECT * FROM postpone_defer_jobs('{t}', meta => ARRAY[" + large + "])",
        "INSERT INTO procrastinate_jobs (queue_name, task_name, meta) VALUES ('q', 't', " + large + ")"})
    EXPECT_EQ(error_of(app, statement).message, "the meta of a job has 9009 bytes: it may have 8192 at most")
        << statement;
  defer();
  EXPECT_EQ(error_of(app, "UPDATE procrastinate_jobs SET meta = " + large).sqlstate, "22023");
  EXPECT_EQ(app.value("SELECT meta FROM procrastinate_jobs"), "∅");
}

// A CHECK, or a row trigger of the wrong kind, would keep jobs from being claimed.
TEST_F(Queue, AJobWithMetaIsClaimedAsAnyOther) {
  defer("meta => '{\"a\": 1}'");
  EXPECT_EQ(app.value("SELECT is_claimed FROM postpone_fetch_jobs(NULL, 1, 1, may_claim => true)"), "t");
}

}  // namespace
}  // namespace postpone::tests
