// Functions and triggers find their tables, whatever search_path their caller has: two queues in one
// database, and sessions that name no schema at all, as those of pg_restore.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "sql/schema.h"
#include "tests/integration/session.h"
#include "tests/support/database.h"

namespace postpone::tests {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

class TwoQueues : public ::testing::TestWithParam<std::string> {
 protected:
  TwoQueues() {
    session.rows(R"(CREATE SCHEMA kitchen; CREATE SCHEMA "the ""bar"""; CREATE SCHEMA empty;)");
    for (const std::string path : {"kitchen", R"("the\\ ""bar""")"}) {
      sql::ConnectOptions options;
      options.url = database.url() + " options='-csearch_path=" + path + "'";
      sql::apply_schema(options);
      EXPECT_EQ(sql::check_schema(options).state, sql::SchemaReport::State::current);
    }
  }

  // In a session with this search_path, with the names of this schema.
  std::string in(const std::string& schema, std::string statement) {
    replace_all(statement, "{}.", schema + ".");
    return session.value(statement);
  }

  const TestDatabase database{Schema::none};
  Session session{database};
};

// Every function that clients call, and with them those that they call, and the triggers.
void live_through_everything(const std::function<std::string(const std::string&)>& ask) {
  EXPECT_EQ(ask("SELECT {}.postpone_register_worker('s', 'h', 'kitchen/0', 1)"), "1");
  EXPECT_EQ(
      ask("SELECT {}.procrastinate_defer_jobs_v1(ARRAY[ROW('q', 't', 0, NULL, NULL, '{\"a\": 1}', NULL)::"
          "{}.procrastinate_job_to_defer_v1])"),
      "{1}");
  EXPECT_EQ(ask("SELECT {}.postpone_defer('t', lock => 'sink', queueing_lock => 'once')"), "2");
  EXPECT_EQ(ask("SELECT {}.postpone_defer('t', scheduled_at => now() + interval '1 hour')"), "3");
  EXPECT_EQ(ask("SELECT {}.procrastinate_defer_periodic_job_v2('q', NULL, NULL, 't', 0, '', 60, '{}')"), "4");
  EXPECT_EQ(ask("SELECT task FROM {}.postpone_announce_schedules('s', '[{\"task\": \"tick\", \"id\": \"\", "
                "\"cron\": "
                "\"@daily\", \"zone\": \"UTC\", \"missed\": \"last\", \"missed_within_s\": 1, \"queue\": "
                "\"later\", "
                "\"priority\": 0, \"args\": {}}]')"),
            "tick");
  EXPECT_EQ(ask("SELECT disposition FROM {}.postpone_defer_tick('t', '', 60, 'q', 0, NULL, NULL, '{}')"),
            "done");
  EXPECT_EQ(ask("SELECT {}.postpone_pause_schedule('tick')"), "t");
  EXPECT_EQ(ask("SELECT {}.postpone_resume_schedule('tick')"), "t");
  EXPECT_EQ(ask("SELECT {}.postpone_run_schedule('nothing') IS NULL"), "t");
  EXPECT_EQ(
      ask("SELECT removed FROM {}.postpone_remove_ended_jobs(0, 100, 86400, '{succeeded}', '{}', '{}')"),
      "0");
  EXPECT_EQ(ask("SELECT due_in > 3000 FROM {}.postpone_next_due(NULL)"), "t");
  EXPECT_EQ(ask("SELECT count(*) FROM {}.postpone_fetch_jobs(NULL, 1, 2, sharers => 2, start_priority => 0, "
                "start_id => 0)"),
            "1");
  EXPECT_EQ(ask("SELECT count(*) FROM {}.postpone_fetch_jobs(NULL, 1, 1)"), "1");
  EXPECT_EQ(ask("SELECT id FROM {}.postpone_fetch_around('{q}', 1, NULL)"), "4");
  EXPECT_EQ(ask("SELECT array_agg(status) FROM {}.postpone_finish_jobs(1, '[{\"job_id\": 1, \"attempt\": 1,"
                " \"action\": \"succeed\", \"defers\": [{\"task\": \"next\", \"delay\": 5}]}, {\"job_id\": 4,"
                " \"attempt\": 1, \"action\": \"fail\", \"delete_job\": true}]')"),
            "{succeeded,failed}");
  EXPECT_EQ(ask("SELECT {}.postpone_defer('t', queueing_lock => 'once')"), "6");
  EXPECT_EQ(
      ask("SELECT disposition || by_job_id FROM {}.postpone_finish_jobs(1, '[{\"job_id\": 2, \"attempt\": 1,"
          " \"action\": \"retry\"}]')"),
      "superseded6");
  EXPECT_EQ(ask("SELECT disposition FROM {}.postpone_retry_job(2)"), "superseded");
  EXPECT_EQ(ask("SELECT {}.procrastinate_cancel_job_v1(6, false, false)"), "6");
  EXPECT_EQ(ask("SELECT disposition FROM {}.postpone_retry_job(2)"), "recorded");
  EXPECT_EQ(ask("SELECT id FROM {}.procrastinate_fetch_job_v2('{default}', 1)"), "2");
  EXPECT_EQ(ask("SELECT {}.procrastinate_cancel_job_v1(2, true, false)"), "2");
  EXPECT_EQ(ask("SELECT is_held FROM {}.postpone_jobs_to_stop('{1}', '{2}')"), "t");
  EXPECT_EQ(ask("SELECT {}.procrastinate_retry_job_v1(2, now(), NULL, NULL, NULL)"), "");
  EXPECT_EQ(ask("SELECT {}.procrastinate_retry_job_v2(2, now(), NULL, NULL, NULL)"), "");
  EXPECT_EQ(ask("SELECT id FROM {}.procrastinate_fetch_job_v2('{default}', 1)"), "2");
  EXPECT_EQ(ask("SELECT {}.procrastinate_finish_job_v1(2, 'failed', false)"), "");
  EXPECT_EQ(ask("SELECT {}.postpone_heartbeat('{1}')"), "{1}");
  EXPECT_EQ(ask("SELECT job_id FROM {}.postpone_retry_job(6, new_priority => 9)"), "6");
  EXPECT_EQ(ask("SELECT id FROM {}.postpone_fetch_jobs(NULL, 1, 1)"), "6");
  EXPECT_EQ(ask("SELECT {}.postpone_stalled_workers(-1, true)"), "1");
  EXPECT_EQ(ask("SELECT job_id FROM {}.postpone_stalled_jobs(-1)"), "6");
  EXPECT_EQ(ask("SELECT disposition FROM {}.postpone_finish_by_hand(6, 'failed', 60, false)"),
            "still_running");
  EXPECT_EQ(ask("SELECT disposition FROM {}.postpone_rescue_job(6, 'retry', 3, -1, 'lost')"), "recorded");
  EXPECT_EQ(ask("SELECT {}.procrastinate_register_worker_v1()"), "2");
  EXPECT_EQ(ask("SELECT {}.procrastinate_update_heartbeat_v1(2)"), "");
  EXPECT_EQ(ask("SELECT id FROM {}.procrastinate_fetch_job_v2(NULL, 2)"), "6");
  EXPECT_EQ(ask("SELECT disposition FROM {}.postpone_finish_by_hand(6, 'failed', 60, true)"), "recorded");
  EXPECT_EQ(ask("SELECT {}.procrastinate_prune_stalled_workers_v1(-1)"), "2");
  EXPECT_EQ(ask("SELECT {}.procrastinate_register_worker_v1()"), "3");
  EXPECT_EQ(ask("SELECT {}.procrastinate_unregister_worker_v1(3)"), "");
  EXPECT_EQ(
      ask("SELECT {}.postpone_defer('u', queueing_lock => 'u', on_conflict => 'keep') = "
          "{}.postpone_defer('u', json_build_object(), queueing_lock => 'u', on_conflict => 'replace')"),
      "t");
  EXPECT_EQ(
      ask("SELECT string_agg(DISTINCT type::text, ' ' ORDER BY type::text) FROM {}.procrastinate_events"),
      "abort_requested cancelled deferred deferred_for_retry failed retried scheduled started succeeded");
  EXPECT_EQ(ask("DELETE FROM {}.procrastinate_jobs WHERE id <= 2 RETURNING 1"), "1");
}

TEST_P(TwoQueues, LiveSideBySideWhateverThePathOfASession) {
  session.rows("SET search_path = " + GetParam());
  for (const std::string schema : {"kitchen", R"("the ""bar""")"}) {
    SCOPED_TRACE(schema);
    live_through_everything([&](const std::string& statement) { return in(schema, statement); });
  }
  for (const std::string count : {"procrastinate_jobs", "procrastinate_events", "postpone_attempts"}) {
    SCOPED_TRACE(count);
    EXPECT_EQ(in("kitchen", "SELECT count(*) FROM {}." + count),
              in(R"("the ""bar""")", "SELECT count(*) FROM {}." + count));
  }
}

INSTANTIATE_TEST_SUITE_P(, TwoQueues,
                         ::testing::Values("''", "kitchen", R"("the ""bar""")", R"("the ""bar""", kitchen)",
                                           "empty", "pg_catalog", "empty, pg_catalog"));

// As a clients's temporary table, which a name without a schema finds first.
TEST(SearchPath, LeadsNoFunctionToATemporaryTable) {
  const TestDatabase database;
  Session session(database);
  session.rows(
      "CREATE TEMPORARY TABLE procrastinate_jobs (LIKE public.procrastinate_jobs);"
      "CREATE TEMPORARY TABLE procrastinate_events (LIKE public.procrastinate_events)");
  EXPECT_EQ(session.value("SELECT postpone_defer('wash')"), "1");
  EXPECT_EQ(session.value("SELECT count(*) FROM public.procrastinate_events"), "1");
  EXPECT_EQ(session.value("SELECT count(*) FROM pg_temp.procrastinate_jobs"), "0");
}

// A path that names pg_catalog nowhere finds what is built in first: functions of the same names and
// arguments that stand in the schema of the application do no harm.
TEST(SearchPath, HidesNothingThatIsBuiltIn) {
  const TestDatabase database;
  Session session(database);
  session.rows(
      "CREATE SCHEMA trap; SET search_path = trap, public;"
      "CREATE FUNCTION trap.now() RETURNS timestamptz LANGUAGE plpgsql AS 'BEGIN RAISE ''trapped''; END';"
      "CREATE FUNCTION trap.pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS 'BEGIN RAISE ''trapped''; "
      "END';"
      "CREATE FUNCTION trap.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS"
      " 'BEGIN RAISE ''trapped''; END'");
  live_through_everything([&](std::string statement) {
    replace_all(statement, "{}.", "public.");
    return session.value(statement);
  });
}

// PostgreSQL 18 runs the trigger as the owner of the tables when a lease ends; a function with its owner's
// rights does so on every version. The caller's path leads to nothing of the caller's then.
TEST(SearchPath, OfACallerCountsForNothingWhereATriggerRunsAsTheOwner) {
  const TestDatabase database;
  const std::string role = database.name() + "_worker";
  Session session(database);
  session.rows(
      "CREATE ROLE " + role + "; CREATE SCHEMA trap AUTHORIZATION " + role +
      "; GRANT SELECT, UPDATE, DELETE ON procrastinate_workers, procrastinate_jobs TO " + role +
      "; GRANT SELECT, INSERT ON procrastinate_events TO " + role + "; GRANT SELECT ON postpone_workers TO " +
      role + "; GRANT USAGE ON SEQUENCE procrastinate_events_id_seq TO " + role +
      "; CREATE TABLE trap.caught (who text); GRANT ALL ON trap.caught TO PUBLIC;"
      "CREATE FUNCTION cancel() RETURNS void LANGUAGE sql SECURITY DEFINER AS"
      " $$UPDATE public.procrastinate_jobs SET status = 'cancelled' WHERE status = 'todo'$$;"
      "SELECT postpone_register_worker('s', 'h', 'w', 1), postpone_defer('wash'), postpone_defer('dry');"
      "SELECT postpone_fetch_jobs(NULL, 1, 1); SET ROLE " +
      role +
      "; CREATE TEMPORARY TABLE procrastinate_events (LIKE public.procrastinate_events);"
      "CREATE DOMAIN pg_temp.text AS pg_catalog.text;"
      "CREATE FUNCTION trap.spring() RETURNS trigger LANGUAGE plpgsql AS"
      " 'BEGIN INSERT INTO trap.caught VALUES (current_user); RETURN NULL; END';"
      "CREATE TRIGGER spring BEFORE INSERT ON procrastinate_events EXECUTE FUNCTION trap.spring();"
      "CREATE FUNCTION trap.now() RETURNS timestamptz LANGUAGE plpgsql AS"
      " 'BEGIN INSERT INTO trap.caught VALUES (current_user); RETURN pg_catalog.now(); END';"
      "SET search_path = trap, pg_catalog, public");
  session.rows("SELECT public.cancel()");
  EXPECT_EQ(session.value("SHOW search_path"), "trap, pg_catalog, public");
  session.rows("DELETE FROM public.procrastinate_workers");
  EXPECT_THAT(session.rows("SELECT who FROM trap.caught WHERE who <> '" + role + "'"), IsEmpty());
  EXPECT_EQ(session.value("SELECT count(*) FROM pg_temp.procrastinate_events"), "0");
  session.rows("RESET ROLE; DROP SCHEMA trap CASCADE; DROP OWNED BY " + role + " CASCADE; DROP ROLE " + role);
}

// The names of our own objects, outside of comments, texts and ON CONSTRAINT, all have their schema.
TEST(SearchPath, IsAskedByNoFunction) {
  const TestDatabase database;
  Session session(database);
  static const std::regex kNoCode("--[^\n]*|'[^']*'|ON CONSTRAINT \\w+");
  static const std::regex kName("(^|[^.\\w])((procrastinate|postpone)_\\w+)");
  Values loose;
  for (const std::string& name :
       session.rows("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace")) {
    const std::string code = std::regex_replace(
        session.value("SELECT prosrc FROM pg_proc WHERE proname = '" + name + "'"), kNoCode, "");
    for (std::sregex_iterator found(code.begin(), code.end(), kName), end; found != end; ++found)
      loose.push_back(name + ": " + found->str(2));
  }
  EXPECT_THAT(loose, IsEmpty());
}

TEST(SearchPath, LeadsToNoSchemaWhoseNameEndsAFunctionsBody) {
  const TestDatabase database(Schema::none);
  Session session(database);
  session.rows("CREATE SCHEMA \"a$$b\"");
  sql::ConnectOptions options;
  options.url = database.url() + " options='-csearch_path=\"a$$b\"'";
  EXPECT_THROW(sql::apply_schema(options), sql::SchemaUnfit);
}

}  // namespace
}  // namespace postpone::tests
