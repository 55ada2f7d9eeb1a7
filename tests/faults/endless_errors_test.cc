// The net under the loops: an error that never ends is met in waits that grow, whatever it is and wherever.
// Each story breaks one step for good, and counts over five seconds what the family writes into its log and
// sends to the database: tens, where a loop without a wait makes thousands.
#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

#include "tests/faults/faults.h"

namespace postpone::tests {
namespace {

constexpr std::chrono::seconds kWindow{5};
// Of a family of three processes, each of which may try a few times a second at the worst.
constexpr std::int64_t kMostLines = 60;
constexpr std::int64_t kMostTransactions = 400;

struct Story {
  std::string name;
  std::string broken;       // the SQL that breaks the step
  std::string then = {};    // what makes a process take it, run after that
  std::string config = {};  // of [supervisor]
  std::string told = "it never goes well";
};
void PrintTo(const Story& story, std::ostream* out) {
  *out << story.name;
}

// A function of ours that raises from now on.
std::string raising(const std::string& signature, const std::string& returns, const std::string& sqlstate,
                    const std::string& constraint = "") {
  return "DROP FUNCTION " + signature + " CASCADE; CREATE FUNCTION " + signature + " RETURNS " + returns +
         " LANGUAGE plpgsql AS $$ BEGIN RAISE 'it never goes well' USING ERRCODE = '" + sqlstate +
         "', CONSTRAINT = '" + constraint + "'; END $$;";
}

// Whichever way the outcome goes.
std::string raising_in_finish(const std::string& sqlstate) {
  const std::string recorded =
      "TABLE (job_id bigint, disposition text, by_job_id bigint, status procrastinate_job_status)";
  return raising(
             "postpone_finish_successes(p_worker_id bigint, job_ids bigint[], p_attempts integer[], "
             "run_times double precision[], cpu_times double precision[], max_rss bigint[], "
             "delete_jobs boolean, omit_events boolean, omit_attempts boolean)",
             recorded, sqlstate) +
         raising("postpone_finish_jobs(p_worker_id bigint, outcomes jsonb)", recorded, sqlstate);
}

std::string refusing(const std::string& table, const std::string& when, const std::string& sqlstate) {
  return "CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
         "RAISE 'it never goes well' USING ERRCODE = '" +
         sqlstate + "'; END $$; CREATE TRIGGER never " + when + " ON " + table +
         " FOR EACH ROW EXECUTE FUNCTION never();";
}

class AnErrorThatNeverEnds : public Faults, public testing::WithParamInterface<Story> {
 protected:
  std::int64_t transactions() const {
    return std::stoll(
        sql("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"));
  }
  static std::int64_t lines(const Family& family) {
    const std::string log = family.log();
    return std::count(log.begin(), log.end(), '\n');
  }
};

TEST_P(AnErrorThatNeverEnds, IsMetInWaitsThatGrow) {
  const Story& story = GetParam();
  Family family(database_.url(), supervisor_keys(story.config) + group("q", kTestTasks, 2));
  family.wait_until_ready(2);
  sql(story.broken);
  if (!story.then.empty()) sql(story.then);
  ASSERT_TRUE(eventually([&] { return family.log().find(story.told) != std::string::npos; })) << family.log();
  const auto lines_before = lines(family);
  const auto transactions_before = transactions();
  std::this_thread::sleep_for(kWindow);  // the measure itself, not a wait for something to happen
  EXPECT_LE(lines(family) - lines_before, kMostLines) << family.log();
  EXPECT_LE(transactions() - transactions_before, kMostTransactions);
  EXPECT_TRUE(family.lives());
}

constexpr const char* kDefer = "SELECT postpone_defer('test.tick', queue => 'q') FROM generate_series(1, 20)";
constexpr const char* kFetch =
    "postpone_fetch_jobs(target_queue_names varchar[], p_worker_id bigint, max_jobs integer, "
    "passed_over bigint[], passed_over_tasks text[], omit_events boolean, may_claim boolean, slow_tasks "
    "text[], sharers integer, start_priority integer, start_id bigint)";
constexpr const char* kFetched =
    "TABLE (id bigint, queue_name varchar, task_name varchar, priority integer, lock text, queueing_lock "
    "text, "
    "args jsonb, scheduled_at timestamptz, attempts integer, more boolean, is_claimed boolean, waiting "
    "integer, "
    "from_top boolean, meta jsonb, deferred_by bigint)";
constexpr const char* kDoing =
    "INSERT INTO procrastinate_jobs (queue_name, task_name, status) SELECT 'q', 'test.tick', 'doing' "
    "FROM generate_series(1, 20)";

INSTANTIATE_TEST_SUITE_P(
    , AnErrorThatNeverEnds,
    testing::Values(
        Story{"EveryFetchIsRefused", raising(kFetch, kFetched, "P0001"), kDefer},
        Story{"EveryFetchIsOutOfResources", raising(kFetch, kFetched, "53200"), kDefer},
        Story{"EveryFetchIsAConflict", raising(kFetch, kFetched, "40001"), kDefer},
        Story{"EveryFetchLosesItsConnection", raising(kFetch, kFetched, "57P01"), kDefer},
        Story{"EveryFetchSaysTheLeaseIsGone",
              raising(kFetch, kFetched, "23503", "procrastinate_jobs_worker_id_fkey"), kDefer, "", "is gone"},
        Story{"EveryFinishIsRefused", raising_in_finish("P0001"), kDefer},
        Story{"EveryFinishIsAViolation", raising_in_finish("23514"), kDefer},
        Story{"EveryFinishIsAConflict", raising_in_finish("40P01"), kDefer},
        Story{"EveryFinishIsOutOfResources", raising_in_finish("53100"), kDefer},
        Story{"NoJobCanBeStarted", refusing("procrastinate_jobs", "BEFORE UPDATE", "P0001"), kDefer},
        Story{"NoWorkerCanBeRegistered", refusing("procrastinate_workers", "BEFORE INSERT", "P0001"),
              "DELETE FROM procrastinate_workers", kShortSilence},
        Story{"NoHeartbeatIsStored",
              raising("postpone_store_heartbeats(worker_ids bigint[])", "bigint[]", "P0001"), "",
              kShortSilence},
        Story{"NoDueTimeIsTold",
              raising("postpone_next_due(after timestamptz)",
                      "TABLE (due_at timestamptz, due_in double precision, queue_names text[])", "22008"),
              "SELECT postpone_defer('test.tick', queue => 'q', scheduled_at => now() + interval '1 hour')"},
        Story{"NoTickIsDeferred", refusing("procrastinate_periodic_defers", "BEFORE INSERT", "53100")},
        Story{"NoSilentWorkerCanBeRescued", refusing("procrastinate_workers", "BEFORE DELETE", "P0001"),
              "WITH dead AS (SELECT postpone_register_worker('other', 'host', 'q/' || n, 1) AS id FROM "
              "generate_series(1, 20) n) "
              "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour' FROM dead "
              "WHERE procrastinate_workers.id = dead.id",
              kShortSilence},
        Story{"NoStalledJobCanBeDecided", refusing("procrastinate_jobs", "BEFORE UPDATE", "P0001"), kDoing,
              kShortSilence + "\n[stalled]\nforeign_action = \"retry\""}));

}  // namespace
}  // namespace postpone::tests
