// libtask::Client on a real server: what it creates, what it refuses, and what becomes of the caller's transaction.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <libtask/client.h>
#include <libtask/json.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/database.h"

namespace postpone::tests {
namespace {

using namespace std::chrono_literals;
using libtask::AlreadyEnqueued;
using libtask::Args;
using libtask::Client;
using libtask::ConnectionLost;
using libtask::DatabaseError;
using libtask::Disposition;
using libtask::JobStatus;
using libtask::NewJob;
using libtask::OnConflict;
using testing::HasSubstr;
using testing::SizeIs;

constexpr auto wash = libtask::declare<std::string, int>("dishes.wash", "dish", "times").queue("kitchen");

class AClient : public testing::Test {
 protected:
  std::string sql(const std::string& statement) const { return database.execute(statement); }
  std::string count() const { return sql("SELECT count(*) FROM procrastinate_jobs"); }

  const TestDatabase database;
  Client client{database.url()};
};

template <class Error, class F>
Error error_of(F call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  throw std::runtime_error("nothing was thrown");
}

TEST_F(AClient, FindsTheDatabaseAsTheCommandDoes) {
  setenv("POSTPONE_DATABASE_URL", database.url().c_str(), 1);
  const auto id = Client().defer("t").id;
  EXPECT_EQ(to_string(client.status(id)->status), "todo");
  unsetenv("POSTPONE_DATABASE_URL");
}

TEST_F(AClient, DefersWithEveryOption) {
  const auto time = std::chrono::system_clock::time_point(2'000'000'000s + 123'456us);
  const auto deferred = client.defer("dishes.wash", {{"dish", "plate"}, {"times", 2}},
                                     {.queue = "kitchen",
                                      .priority = -5,
                                      .lock = "sink",
                                      .queueing_lock = "plates",
                                      .schedule_at = time,
                                      .meta = Args{{"tenant", "ann"}}});
  EXPECT_EQ(deferred.disposition, Disposition::created);
  EXPECT_EQ(
      sql("SELECT concat_ws('|', id, queue_name, task_name, priority, lock, queueing_lock, args, status, "
          "extract(epoch FROM scheduled_at), meta) FROM procrastinate_jobs"),
      std::to_string(deferred.id) +
          "|kitchen|dishes.wash|-5|sink|plates|{\"dish\": \"plate\", \"times\": 2}|todo|"
          "2000000000.123456|{\"tenant\": \"ann\"}");
}

TEST_F(AClient, TakesArgumentsAsTextAsNlohmannJsonAndTyped) {
  client.defer("a", Args::from_text(R"({"n": 1})"));
  client.defer("a", nlohmann::json{{"n", 1}});
  client.defer("a", {{"n", 1}});
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_jobs WHERE args = '{\"n\": 1}'"), "3");
  client.defer(wash("plate", 2));
  EXPECT_EQ(sql("SELECT queue_name || args FROM procrastinate_jobs WHERE task_name = 'dishes.wash'"),
            "kitchen{\"dish\": \"plate\", \"times\": 2}");
}

TEST_F(AClient, SchedulesByTheDatabasesClock) {
  client.defer(wash("plate", 1).schedule_in(1h));
  client.defer_many({wash("plate", 1).schedule_in(1h)});
  EXPECT_EQ(
      sql("SELECT bool_and(j.scheduled_at - e.at BETWEEN '59 min 50 s' AND '60 min 10 s') FROM "
          "procrastinate_jobs j JOIN procrastinate_events e ON e.job_id = j.id AND e.type = 'deferred'"),
      "t");
}

TEST_F(AClient, SaysThatAJobWaitsAlready) {
  client.defer(wash("plate", 1).queueing_lock("pla)=(tes"));
  const auto error =
      error_of<AlreadyEnqueued>([&] { client.defer(wash("plate", 2).queueing_lock("pla)=(tes")); });
  EXPECT_EQ(error.queueing_lock(), "pla)=(tes");
  EXPECT_STREQ(error.what(), "already enqueued: a job with queueing lock \"pla)=(tes\" waits");
  const auto many = error_of<AlreadyEnqueued>([&] {
    client.defer_many({wash("cup", 1), wash("plate", 2).queueing_lock("pla)=(tes")});
  });
  EXPECT_EQ(many.queueing_lock(), "pla)=(tes");
  const auto other = error_of<AlreadyEnqueued>(
      [&] { client.defer(NewJob("dry").queueing_lock("pla)=(tes").on_conflict(OnConflict::replace)); });
  EXPECT_THAT(other.what(), HasSubstr("is of task dishes.wash: a job of dry cannot replace it"));
  EXPECT_EQ(count(), "1");
}

TEST_F(AClient, KeepsAndReplacesAWaitingJob) {
  const auto first = client.defer(wash("plate", 1).queueing_lock("l").on_conflict(OnConflict::keep));
  const auto kept = client.defer(wash("plate", 2).queueing_lock("l").on_conflict(OnConflict::keep));
  EXPECT_EQ(kept.id, first.id);
  EXPECT_EQ(kept.disposition, Disposition::kept);
  EXPECT_EQ(sql("SELECT args->>'times' FROM procrastinate_jobs"), "1");
  const auto replaced = client.defer(
      wash("plate", 3).queueing_lock("l").on_conflict(OnConflict::replace).schedule_in(1h).priority(4));
  EXPECT_EQ(replaced.id, first.id);
  EXPECT_EQ(replaced.disposition, Disposition::replaced);
  EXPECT_EQ(sql("SELECT (args->>'times') || priority || (scheduled_at > now()) FROM procrastinate_jobs"),
            "34true");
}

TEST_F(AClient, SaysWhatTheDatabaseObjectsToInOneLine) {
  const auto error = error_of<DatabaseError>([&] {
    client.defer("t", {}, {.meta = Args{{"x", std::string(9000, 'x')}}});
  });
  EXPECT_EQ(error.sqlstate(), "22023");
  EXPECT_STREQ(error.what(), "the meta of a job has 9009 bytes: it may have 8192 at most");
  EXPECT_THROW(client.defer(""), std::invalid_argument);
  EXPECT_THAT(error_of<DatabaseError>([] { Client(TestDatabase(Schema::none).url()).defer("t"); }).what(),
              HasSubstr("postpone schema apply"));
  EXPECT_THAT(error_of<ConnectionLost>([] { Client("host=/nowhere"); }).what(),
              HasSubstr("cannot connect to the database: "));
}

std::vector<NewJob> many(std::size_t size) {
  std::vector<NewJob> jobs;
  for (std::size_t i = 0; i < size; ++i) jobs.push_back(wash("plate", static_cast<int>(i)));
  return jobs;
}

TEST_F(AClient, DefersManyInTheirOrder) {
  const auto deferred = client.defer_many(many(1000));
  ASSERT_THAT(deferred, SizeIs(1000));
  EXPECT_EQ(sql("SELECT string_agg(args->>'times', ' ' ORDER BY id) FROM procrastinate_jobs WHERE id IN (" +
                std::to_string(deferred[0].id) + ", " + std::to_string(deferred[999].id) + ")"),
            "0 999");
  EXPECT_THAT(client.defer_many({}), SizeIs(0));
}

// With more than goes into one statement, the jobs come by COPY. What holds for few holds there, too.
TEST_F(AClient, DefersVeryManyByCopyAndTellsHowFarItIs) {
  constexpr std::size_t kMany = 100'003;
  std::vector<NewJob> jobs = many(kMany);
  jobs[1].queueing_lock("l").on_conflict(OnConflict::keep).meta({{"a", "tab\t\\ newline\n"}});
  jobs[kMany - 1].queueing_lock("l").on_conflict(OnConflict::replace).schedule_in(1h);
  std::vector<libtask::DeferProgress> told;
  const auto deferred = client.defer_many(jobs, [&](const auto& progress) { told.push_back(progress); });
  ASSERT_THAT(deferred, SizeIs(kMany));
  EXPECT_EQ(count(), std::to_string(kMany - 1));
  EXPECT_EQ(deferred[kMany - 1].id, deferred[1].id);
  EXPECT_EQ(deferred[kMany - 1].disposition, Disposition::replaced);
  EXPECT_EQ(sql("SELECT args->>'times' FROM procrastinate_jobs WHERE id = " + std::to_string(deferred[1].id)),
            std::to_string(kMany - 1));
  EXPECT_EQ(
      sql("SELECT args->>'times' FROM procrastinate_jobs WHERE id = " + std::to_string(deferred[70'000].id)),
      "70000");
  ASSERT_GT(told.size(), 2U);
  EXPECT_LT(told.front().sent, kMany);
  EXPECT_EQ(told.back().stored, kMany);

  jobs[5].queueing_lock("l");
  EXPECT_EQ(error_of<AlreadyEnqueued>([&] { client.defer_many(jobs); }).queueing_lock(), "l");
  struct GivenUp {};
  EXPECT_THROW(client.defer_many(many(kMany), [](const auto&) { throw GivenUp(); }), GivenUp);
  EXPECT_EQ(count(), std::to_string(kMany - 1));
  client.defer("t");
}

TEST_F(AClient, CancelsAbortsRetriesAndLooks) {
  const auto id = client.defer(wash("plate", 1)).id;
  EXPECT_EQ(client.status(id)->status, JobStatus::todo);
  EXPECT_EQ(client.status(id)->task, "dishes.wash");
  EXPECT_TRUE(client.cancel(id));
  EXPECT_FALSE(client.cancel(id));
  EXPECT_FALSE(client.abort(id));
  EXPECT_EQ(client.wait_for(id, 0ms), JobStatus::cancelled);
  EXPECT_TRUE(client.retry(id));
  EXPECT_EQ(client.status(id)->status, JobStatus::todo);
  EXPECT_THROW(client.retry(id), DatabaseError);

  sql("SELECT postpone_register_worker('s', 'h', 'n', 1); SELECT * FROM postpone_fetch_jobs(NULL, 1, 1, "
      "may_claim "
      "=> true)");
  EXPECT_EQ(client.status(id)->status, JobStatus::doing) << "it is claimed";
  EXPECT_FALSE(client.cancel(id));
  EXPECT_TRUE(client.abort(id));
  EXPECT_TRUE(client.status(id)->abort_requested);
  EXPECT_EQ(client.wait_for(id, 30ms), std::nullopt);
  EXPECT_EQ(client.status(4711), std::nullopt);
  EXPECT_EQ(client.wait_for(4711, 10s), std::nullopt);
}

TEST_F(AClient, SeesHowFarAJobIsAndWhatItGaveBack) {
  const auto id = client.defer(wash("plate", 1)).id;
  EXPECT_EQ(client.status(id)->progress, "");
  EXPECT_EQ(client.result(id), std::nullopt);
  sql("SELECT postpone_register_worker('s', 'h', 'n', 1); SELECT * FROM postpone_fetch_jobs(NULL, 1, 1); "
      "SELECT postpone_store_progress(1, " +
      std::to_string(id) + ", 1, 3, 10, 'pages')");
  EXPECT_EQ(client.status(id)->progress, "3 of 10: pages");
  EXPECT_EQ(client.result(id), std::nullopt);
  sql("SELECT * FROM postpone_finish_jobs(1, '[{\"job_id\": " + std::to_string(id) +
      R"(, "attempt": 1, "action": "succeed", "cause": "succeeded", "result": {"file": "a.pdf"}}]'))");
  EXPECT_EQ(client.result(id), R"({"file": "a.pdf"})");
  EXPECT_EQ(client.result(4711), std::nullopt);
}

TEST_F(AClient, RetriesNoJobThatRuns) {
  const auto id = client.defer(wash("plate", 1)).id;
  sql("SELECT postpone_register_worker('s', 'h', 'n', 1); SELECT * FROM postpone_fetch_jobs(NULL, 1, 1)");
  EXPECT_THAT(error_of<DatabaseError>([&] { client.retry(id); }).what(),
              HasSubstr("invalid status to retry"));
  EXPECT_EQ(client.status(id)->status, JobStatus::doing);
}

TEST_F(AClient, WaitsForEverWhenToldTo) {
  const auto id = client.defer(wash("plate", 1)).id;
  std::thread other([&] { sql("UPDATE procrastinate_jobs SET status = 'failed'"); });
  EXPECT_EQ(client.wait_for(id, std::chrono::milliseconds::max()), JobStatus::failed);
  other.join();
}

TEST_F(AClient, SchedulesManyForThousandsOfYearsOrRefuses) {
  client.defer_many({NewJob("a", {}, {.schedule_in = std::chrono::hours(24 * 365 * 1000)})});
  EXPECT_EQ(sql("SELECT extract(year FROM scheduled_at) > 3000 FROM procrastinate_jobs"), "t");
  EXPECT_THROW(client.defer("a", {}, {.schedule_in = std::chrono::microseconds::max()}),
               std::invalid_argument);
}

TEST_F(AClient, CreatesNothingWhenTheCallbackThrows) {
  EXPECT_THROW(client.defer_many({NewJob("a")}, [](const auto&) { throw std::runtime_error("cancelled"); }),
               std::runtime_error);
  EXPECT_EQ(count(), "0");
}

TEST_F(AClient, CreatesNothingWhereATriggerKeepsAJobOut) {
  sql("CREATE FUNCTION keep_out() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "
      "CREATE TRIGGER keep_out BEFORE INSERT ON procrastinate_jobs FOR EACH ROW WHEN (NEW.task_name = 'b') "
      "EXECUTE FUNCTION keep_out()");
  const std::vector<NewJob> jobs{NewJob("a"), NewJob("b")};
  EXPECT_THAT(error_of<DatabaseError>([&] { client.defer_many(jobs, [](const auto&) {}); }).what(),
              HasSubstr("of 2 jobs the database created or met 1"));
  EXPECT_EQ(count(), "0");
}

TEST_F(AClient, ToldThatAnotherJobWaitsInsteadOfARetriedOne) {
  const auto id = client.defer(wash("plate", 1).queueing_lock("l")).id;
  client.cancel(id);
  client.defer(wash("plate", 2).queueing_lock("l"));
  EXPECT_FALSE(client.retry(id));
}

TEST_F(AClient, WaitsUntilAJobHasEnded) {
  const auto id = client.defer(wash("plate", 1)).id;
  std::thread other([&] { sql("UPDATE procrastinate_jobs SET status = 'failed'"); });
  EXPECT_EQ(client.wait_for(id, 60s), JobStatus::failed);
  other.join();
}

TEST_F(AClient, ConnectsAgainWhenItsConnectionWasLost) {
  client.defer("t");
  sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'libtask client' AND "
      "datname = current_database()");
  EXPECT_TRUE(error_of<ConnectionLost>([&] { client.defer("t"); }).is_in_doubt());
  client.defer("t");
  EXPECT_EQ(count(), "2");
}

TEST_F(AClient, ServesManyThreads) {
  std::atomic<int> refused = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        const auto id = client.defer(wash("plate", i)).id;
        if (!client.status(id)) ++refused;
        client.defer_many({wash("cup", i), wash("pan", i)});
        try {
          client.defer(wash("lid", i).queueing_lock("lids"));
        } catch (const AlreadyEnqueued&) {
          ++refused;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(refused, 79);
  EXPECT_EQ(count(), "241");
}

// On the connection of an application.
class ABorrowedConnection : public AClient {
 protected:
  ABorrowedConnection() {
    PQsetNoticeProcessor(
        connection.get(), [](void*, const char*) {}, nullptr);
  }
  std::string run(const char* statement) const {
    PGresult* result = PQexec(connection.get(), statement);
    const std::string error = PQresultErrorMessage(result);
    PQclear(result);
    return error;
  }

  std::unique_ptr<PGconn, decltype(&PQfinish)> connection{PQconnectdb(database.url().c_str()), &PQfinish};
  Client inside{connection.get()};
};

TEST_F(ABorrowedConnection, DefersInTheCallersTransaction) {
  run("BEGIN");
  const auto id = inside.defer(wash("plate", 1)).id;
  inside.defer_many(many(3));
  EXPECT_EQ(count(), "0");
  EXPECT_TRUE(inside.status(id)) << "the transaction itself sees it";
  run("COMMIT");
  EXPECT_EQ(count(), "4");
  run("BEGIN");
  inside.defer(wash("plate", 1));
  run("ROLLBACK");
  EXPECT_EQ(count(), "4");
  inside.defer(wash("plate", 1));
  EXPECT_EQ(count(), "5") << "without a transaction a call is one of its own";
}

TEST_F(ABorrowedConnection, LeavesTheTransactionUsableAfterAnError) {
  client.defer(wash("plate", 1).queueing_lock("l"));
  run("CREATE TABLE orders (id int); BEGIN; INSERT INTO orders VALUES (1)");
  EXPECT_THROW(inside.defer(wash("plate", 1).queueing_lock("l")), AlreadyEnqueued);
  EXPECT_THROW(inside.defer_many({wash("plate", 1).queueing_lock("l")}), AlreadyEnqueued);
  EXPECT_THROW(inside.defer(""), std::invalid_argument);
  EXPECT_THROW(inside.retry(4711), DatabaseError);
  std::vector<NewJob> very_many = many(100'001);
  very_many[100'000].queueing_lock("l");
  EXPECT_THROW(inside.defer_many(very_many), AlreadyEnqueued);
  inside.defer(wash("cup", 1));
  EXPECT_EQ(run("INSERT INTO orders VALUES (2)"), "");
  EXPECT_EQ(run("COMMIT"), "");
  EXPECT_EQ(sql("SELECT count(*) FROM orders"), "2");
  EXPECT_EQ(count(), "2");
}

TEST_F(ABorrowedConnection, SaysWhatKeepsItFromBeingUsed) {
  run("BEGIN");
  run("SELECT 1/0");
  EXPECT_EQ(error_of<DatabaseError>([&] { inside.defer("t"); }).sqlstate(), "25P02");
  run("ROLLBACK");
  ASSERT_EQ(PQsendQuery(connection.get(), "SELECT 1"), 1);
  EXPECT_THAT(error_of<DatabaseError>([&] { inside.defer("t"); }).what(), HasSubstr("read its answer first"));
  while (PGresult* result = PQgetResult(connection.get())) PQclear(result);
  ASSERT_EQ(PQsetClientEncoding(connection.get(), "LATIN1"), 0);
  EXPECT_THAT(error_of<DatabaseError>([&] { inside.defer("t"); }).what(), HasSubstr("LATIN1"));
  ASSERT_EQ(PQsetClientEncoding(connection.get(), "UTF8"), 0);
  run("BEGIN");
  const auto id = inside.defer("t").id;
  EXPECT_THROW(inside.wait_for(id, 10ms), std::logic_error);
  run("COMMIT");
}

// More than one statement takes, so that they go by COPY, in parts.
TEST_F(ABorrowedConnection, MayBeOneThatDoesNotBlock) {
  ASSERT_EQ(PQsetnonblocking(connection.get(), 1), 0);
  EXPECT_THAT(
      inside.defer_many(std::vector<NewJob>(5, NewJob("a", {{"text", std::string(30U << 20U, 'x')}}))),
      SizeIs(5));
  EXPECT_EQ(count(), "5");
  EXPECT_EQ(PQisnonblocking(connection.get()), 1);
}

TEST_F(ABorrowedConnection, HasNoNeedOfTheUsualSettings) {
  run("SET array_nulls = off");
  run("SET DateStyle = 'German, DMY'");
  run("SET TimeZone = 'Asia/Kathmandu'");
  const auto time = std::chrono::system_clock::time_point(2'000'000'000s);
  inside.defer(wash("plate", 1).schedule_at(time));
  inside.defer_many({wash("plate", 1).schedule_at(time), wash("cup", 1)});
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_jobs WHERE lock IS NULL AND queueing_lock IS NULL"), "3");
  EXPECT_EQ(
      sql("SELECT count(*) FROM procrastinate_jobs WHERE extract(epoch FROM scheduled_at) = 2000000000"),
      "2");
}

}  // namespace
}  // namespace postpone::tests
