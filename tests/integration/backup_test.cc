// Dumps of a database at work, and what they are restored to, with PostgreSQL's own programs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "sql/schema.h"
#include "tests/integration/session.h"
#include "tests/support/database.h"

namespace postpone::tests {
namespace {

class Backup : public ::testing::Test {
 protected:
  Backup() {
    session.rows(
        "SELECT postpone_register_worker('s', 'h', 'kitchen/0', 1);"
        "SELECT postpone_defer('wash', lock => 'sink') FROM generate_series(1, 4);"
        "SELECT postpone_defer('dry', queueing_lock => 'once', scheduled_at => now() + interval '1 day');"
        "SELECT procrastinate_defer_periodic_job_v2('default', NULL, NULL, 'sweep', 0, '', 60, '{}');"
        "SELECT postpone_fetch_jobs(NULL, 1, 2);"
        "SELECT postpone_finish_jobs(1, '[{\"job_id\": 1, \"attempt\": 1, \"action\": \"succeed\"}]')");
  }
  ~Backup() override { std::filesystem::remove(file); }

  static void run(const std::string& command) { EXPECT_EQ(std::system(command.c_str()), 0) << command; }
  void dump(const std::string& options) const {
    run("pg_dump --format=custom --file='" + file + "' " + options + " --dbname=\"" + database.url() + '"');
  }
  void restore(const TestDatabase& target, const std::string& options) const {
    run("pg_restore --exit-on-error --single-transaction " + options + " --dbname=\"" + target.url() +
        "\" '" + file + "'");
  }

  static Values rows_of(Session& of) {
    return of.rows(
        "SELECT j::text FROM procrastinate_jobs j UNION ALL SELECT e::text FROM procrastinate_events e UNION "
        "ALL"
        " SELECT p::text FROM procrastinate_periodic_defers p UNION ALL SELECT w::text FROM "
        "procrastinate_workers w"
        " UNION ALL SELECT o::text FROM postpone_workers o UNION ALL SELECT a::text FROM postpone_attempts a"
        " UNION ALL SELECT r::text FROM postpone_results r"
        " ORDER BY 1");
  }

  // The rows are there, nothing was written beside them, and the queue goes on where it was.
  void expect_to_go_on(const TestDatabase& target) {
    sql::ConnectOptions options;
    options.url = target.url();
    EXPECT_EQ(sql::explain(sql::check_schema(options)), "");
    Session restored(target);
    EXPECT_EQ(rows_of(restored), rows_of(session));
    EXPECT_EQ(restored.value("SELECT postpone_register_worker('s', 'h', 'kitchen/1', 1)"), "2");
    EXPECT_EQ(restored.value("SELECT disposition FROM postpone_rescue_worker(1, '[]', 'retry', 3, 'dump')"),
              "recorded");
    EXPECT_EQ(restored.value("SELECT id FROM postpone_fetch_jobs(NULL, 2, 1)"), "2")
        << "the first one is done";
    EXPECT_EQ(restored.value("SELECT status FROM postpone_finish_jobs(2, '[{\"job_id\": 2, \"attempt\": 1,"
                             " \"action\": \"succeed\"}]')"),
              "succeeded");
    EXPECT_EQ(restored.value("SELECT postpone_defer('wash')"),
              session.value("SELECT postpone_defer('wash')"));
    EXPECT_EQ(restored.value("SELECT count(*) FROM procrastinate_events WHERE job_id = 7"), "1");
    EXPECT_THROW(restored.rows("SELECT postpone_defer('dry', queueing_lock => 'once')"), SqlError);
    EXPECT_EQ(
        restored.value("SELECT procrastinate_defer_periodic_job_v2('default', NULL, NULL, 'sweep', 0, '', 60,"
                       " '{}')"),
        "∅");
  }

  const TestDatabase database;
  Session session{database};
  const std::string file = std::filesystem::temp_directory_path() / (database.name() + ".dump");
};

TEST_F(Backup, OfTheWholeDatabaseIsAWholeDatabase) {
  dump("");
  const TestDatabase target(Schema::none);
  restore(target, "");
  expect_to_go_on(target);
}

TEST_F(Backup, OfTheRowsGoesIntoASchemaThatIsThereAlready) {
  dump("--data-only --exclude-table=postpone_migrations");
  const TestDatabase target;
  restore(target, "--disable-triggers");
  expect_to_go_on(target);
}

// Without a superuser: the triggers that write events stay out of the way by hand.
TEST_F(Backup, OfTheRowsIsRestoredByTheOwnerToo) {
  dump("--data-only --exclude-table=postpone_migrations");
  const TestDatabase target;
  target.execute("ALTER TABLE procrastinate_jobs DISABLE TRIGGER USER");
  restore(target, "");
  target.execute("ALTER TABLE procrastinate_jobs ENABLE TRIGGER USER");
  expect_to_go_on(target);
}

// The triggers fire, and find their tables though pg_restore has emptied search_path.
TEST_F(Backup, OfTheJobsAloneWritesTheirEventsAnew) {
  session.rows("DELETE FROM procrastinate_jobs WHERE status <> 'todo'");
  dump("--data-only --table=procrastinate_jobs --table=procrastinate_jobs_id_seq");
  const TestDatabase target;
  restore(target, "");
  Session restored(target);
  EXPECT_EQ(restored.value("SELECT array_agg(DISTINCT type) FROM procrastinate_events"),
            "{deferred,scheduled}");
  EXPECT_EQ(restored.value("SELECT count(DISTINCT job_id) FROM procrastinate_events"),
            session.value("SELECT count(*) FROM procrastinate_jobs"));
  EXPECT_EQ(restored.value("SELECT postpone_defer('wash')"), "7");
}

}  // namespace
}  // namespace postpone::tests
