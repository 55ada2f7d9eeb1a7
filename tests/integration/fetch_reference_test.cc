// Every fetch finds what the contract allows, in its order, and nothing that can run is left: beside a plain definition of that,
// under inserts, finishes, edits by hand, Python's functions and schedules whose time comes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <random>
#include <string>
#include <vector>

#include "tests/integration/fetch_fixture.h"
#include "tests/integration/session.h"

namespace postpone::tests {
namespace {

using ::testing::AnyOf;
using ::testing::IsEmpty;

// Jobs that wait, are due, are claimed by nobody, and are first of a lock that is free, in the order in which they are to run.
std::string allowed_sql(const std::string& queues) {
  return "SELECT job.id, row_number() OVER (ORDER BY job.priority DESC, job.id) AS place, queueing_lock"
         " FROM procrastinate_jobs AS job WHERE status = 'todo'"
         " AND (scheduled_at IS NULL OR scheduled_at <= clock_timestamp())"
         " AND (" +
         queues + " IS NULL OR queue_name = ANY (" + queues +
         "))"
         " AND NOT EXISTS (SELECT FROM postpone_claims AS claim WHERE claim.job_id = job.id)"
         " AND (lock IS NULL OR"
         "  NOT EXISTS (SELECT FROM procrastinate_jobs AS other WHERE other.lock = job.lock AND ("
         "   other.status = 'doing' OR other.status = 'todo' AND"
         "   (other.priority > job.priority OR other.priority = job.priority AND other.id < job.id))))";
}

// What people and programs do with a queue, one thing at random at a time. Deterministic, but for other sessions.
class Hands {
 public:
  Hands(const TestDatabase& database, unsigned seed) : session_(database), random_(seed) {}

  Session& session() { return session_; }
  int upto(int most) { return std::uniform_int_distribution<int>(1, most)(random_); }
  bool one_in(int times) { return upto(times) == 1; }

  std::string queues() {
    return std::vector<std::string>{"NULL::varchar[]", "'{a}'::varchar[]", "'{a,b}'::varchar[]",
                                    "'{c,b,a,none}'::varchar[]"}[static_cast<std::size_t>(upto(4) - 1)];
  }

  void insert() {
    const std::string salt = std::to_string(upto(1'000'000));
    session_.rows(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, queueing_lock, scheduled_at)"
        " SELECT (ARRAY['a', 'b', 'c'])[1 + h % 3], 't', (ARRAY[0, 0, 0, 0, 1, -1])[1 + h / 3 % 6],"
        "  (ARRAY[NULL, 'x', 'x', 'y', 'z', 'own' || h])[1 + h / 18 % 6],"
        "  CASE h / 108 % 12 WHEN 0 THEN 'q' || h END,"
        "  CASE h / 1296 % 4 WHEN 0 THEN now() + interval '1 hour' WHEN 1 THEN now() END"
        " FROM generate_series(1, $1::int) AS i,"
        "  LATERAL (SELECT ('x' || substr(md5(i || $2), 1, 6))::bit(24)::int AS h) AS hash",
        {untyped(std::to_string(one_in(5) ? 90 : upto(10))), untyped(salt)});
  }
  // A job of these, or none.
  std::string some(const std::string& condition) {
    const Values ids = session_.rows(
        "SELECT id FROM procrastinate_jobs AS job WHERE " + condition + " ORDER BY md5(id || $1) LIMIT 1",
        {untyped(std::to_string(upto(1'000'000)))});
    return ids.empty() ? "" : ids.front();
  }
  void finish() {
    const std::string id = some("status = 'doing' OR id IN (SELECT job_id FROM postpone_claims)");
    if (id.empty()) return;
    const std::string ends[] = {R"("action": "succeed")",
                                R"("action": "fail")",
                                R"("action": "release")",
                                R"("action": "retry", "retry_in": 3600)",
                                R"("action": "retry", "new_priority": 1)",
                                R"("action": "succeed", "delete_job": true)"};
    if (one_in(4)) {
      session_.rows("SELECT procrastinate_finish_job_v1($1, 'succeeded', false)", {untyped(id)});
    } else {
      session_.rows(
          "SELECT postpone_finish_jobs(coalesce(claim.worker_id, job.worker_id), "
          "jsonb_build_array(jsonb_build_object("
          "'job_id', job.id, 'attempt', job.attempts + 1) || $2::jsonb))"
          " FROM procrastinate_jobs AS job LEFT JOIN postpone_claims AS claim ON claim.job_id = job.id"
          " WHERE job.id = $1 AND coalesce(claim.worker_id, job.worker_id) IS NOT NULL",
          {untyped(id), untyped("{" + ends[upto(6) - 1] + "}")});
    }
  }
  void edit() {
    const std::string edits[] = {
        "lock = 'y'",          "lock = NULL",         "priority = priority + 1",
        "priority = -1",       "queue_name = 'b'",    "scheduled_at = now() + interval '1 hour'",
        "scheduled_at = NULL", "args = '{\"a\": 1}'", "status = 'cancelled'"};
    const std::string id = some("status = 'todo'");
    if (id.empty()) return;
    if (one_in(6)) {
      session_.rows("DELETE FROM procrastinate_jobs WHERE id = $1", {untyped(id)});
    } else if (one_in(6)) {
      session_.rows("SELECT procrastinate_cancel_job_v1($1, false, false)", {untyped(id)});
    } else {
      session_.rows("UPDATE procrastinate_jobs SET " + edits[upto(9) - 1] + " WHERE id = $1", {untyped(id)});
    }
    const std::string ended = some("status IN ('failed', 'cancelled')");
    if (!ended.empty() && one_in(2)) session_.rows("SELECT postpone_retry_job($1)", {untyped(ended)});
  }
  // The clock moves on by half an hour: no trigger sees that.
  void wait() {
    session_.rows(
        "BEGIN; SET LOCAL session_replication_role = replica;"
        "UPDATE procrastinate_jobs SET scheduled_at = scheduled_at - interval '30 minutes'"
        " WHERE scheduled_at IS NOT NULL AND status = 'todo'; COMMIT");
  }
  Values fetch() {
    if (one_in(5)) {
      return session_.rows("SELECT id FROM procrastinate_fetch_job_v2(" + queues() +
                           ", 2) WHERE id IS NOT NULL");
    }
    return session_.rows("SELECT id FROM postpone_fetch_jobs(" + queues() + ", 1, $1, may_claim => $2)",
                         {untyped(std::to_string(one_in(3) ? 1 : upto(20))), boolean(one_in(2))});
  }
  void anything() {
    switch (upto(8)) {
      case 1:
        return insert();
      case 2:
      case 3:
        return finish();
      case 4:
        return edit();
      case 5:
        return one_in(6) ? wait() : void();
      default:
        fetch();
    }
  }

 private:
  Session session_;
  std::mt19937 random_;
};

class FetchReference : public Queue, public ::testing::WithParamInterface<unsigned> {};

TEST_P(FetchReference, AFetchFindsWhatThePlainDefinitionAllows) {
  Hands hands(database, GetParam());
  int found = 0;
  for (int step = 0; step < 400; ++step) {
    if (!hands.one_in(3)) {
      hands.anything();
      continue;
    }
    const std::string queues = hands.queues();
    const std::string most = std::to_string(hands.one_in(3) ? 1 : hands.upto(20));
    // One with a queueing lock is taken only as the first.
    const Values expected = app.rows("WITH allowed AS (" + allowed_sql(queues) +
                                     ") SELECT id FROM allowed WHERE place <= " + most +
                                     " AND place < coalesce((SELECT min(place) FROM allowed WHERE place > 1 "
                                     "AND queueing_lock IS NOT NULL),"
                                     " place + 1) ORDER BY place");
    const bool by_python = most == "1" && hands.one_in(2);
    const Values got =
        by_python
            ? app.rows("SELECT id FROM procrastinate_fetch_job_v2(" + queues + ", 2) WHERE id IS NOT NULL")
            : app.rows("SELECT id FROM postpone_fetch_jobs(" + queues + ", 1, " + most + ")");
    found += static_cast<int>(got.size());
    // Of several queues it may be content with half.
    Values due = expected;
    if (queues.find(',') != std::string::npos && 2 * got.size() >= expected.size()) due.resize(got.size());
    ASSERT_EQ(got, due) << "step " << step << ", queues " << queues << ", at most " << most;
  }
  EXPECT_GT(found, 100);
  EXPECT_NE(app.value("SELECT count(*) FROM procrastinate_events"), "0");
}

TEST_P(FetchReference, ManyHandsAtOnceLeaveNothingThatCanRun) {
  auto work = [&](unsigned seed) {
    Hands hands(database, seed);
    for (int step = 0; step < 120; ++step) {
      try {
        hands.anything();
      } catch (const SqlError& error) {
        // Two hands on one job; a deadlock of edits by hand; a queueing lock that waits already.
        EXPECT_THAT(error.sqlstate, AnyOf("P0001", "40P01", "23505", "23514")) << error.what();
        hands.session().rows("ROLLBACK");
      }
    }
  };
  std::vector<std::future<void>> all;
  all.reserve(4);
  for (unsigned hand = 0; hand < 4; ++hand) {
    all.push_back(std::async(std::launch::async, work, 100 * GetParam() + hand));
  }
  for (auto& hand : all) hand.get();

  // Nothing that runs is kept, no time is to come: now every job is to be had.
  app.rows(
      "BEGIN; SET LOCAL session_replication_role = replica;"
      "UPDATE procrastinate_jobs SET scheduled_at = now() - interval '1 minute' WHERE scheduled_at IS NOT "
      "NULL; COMMIT");
  for (int round = 0; round < 3000; ++round) {
    const Values running = app.rows(
        "SELECT procrastinate_finish_job_v1(job.id, 'succeeded', false) FROM procrastinate_jobs AS job"
        " LEFT JOIN postpone_claims AS claim ON claim.job_id = job.id"
        " WHERE job.status = 'doing' OR claim.job_id IS NOT NULL");
    if (app.rows("SELECT id FROM postpone_fetch_jobs(NULL, 1, 50)").empty() && running.empty()) break;
  }
  EXPECT_THAT(app.rows("SELECT id, queue_name, lock, parked, scheduled_at FROM procrastinate_jobs"
                       " WHERE status IN ('todo', 'doing') ORDER BY id LIMIT 20"),
              IsEmpty());
  EXPECT_NE(app.value("SELECT count(*) FROM procrastinate_jobs"), "0");
}

INSTANTIATE_TEST_SUITE_P(Seeds, FetchReference, ::testing::Values(1U, 2U, 3U));

}  // namespace
}  // namespace postpone::tests
