// What the database refuses, and what is taken away under a running job: each costs the row that it is about,
// and no process repeats it without a wait.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>

#include "tests/faults/faults.h"
#include "tests/support/cli.h"
#include "tests/support/program.h"
#include "tests/support/signals.h"
#include "tests/support/tcp_proxy.h"

namespace postpone::tests {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

class Refusals : public Faults {
 protected:
  static int count_of(const std::string& log, const std::string& words) {
    int lines = 0;
    for (std::size_t at = 0; (at = log.find(words, at)) != std::string::npos; ++at) ++lines;
    return lines;
  }
  // The application's, on the jobs table.
  void trigger(const std::string& when, const std::string& then) const {
    sql("CREATE OR REPLACE FUNCTION app_rule() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF " + when +
        " THEN " + then +
        "; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER app_rule BEFORE INSERT OR UPDATE ON procrastinate_jobs FOR EACH ROW "
        "EXECUTE FUNCTION app_rule()");
  }
  std::string lease_of(const std::string& job) const {
    return sql("SELECT worker_id FROM procrastinate_jobs WHERE id = " + job);
  }
  std::string defer_append(const std::string& file, const std::string& more = "") const {
    return defer("test.append", R"({"text": "x", "file": ")" + files_.file(file) + R"("})", more);
  }
};

// --- a rehearsal ---

// It is the only statement of ours that changes no row, and comes when a sub-worker has been idle for a moment.
TEST_F(Refusals, ARehearsalThatIsRefusedIsNotRepeatedAndCostsNothing) {
  sql("CREATE SEQUENCE rehearsals; CREATE FUNCTION app_rule() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "  IF NOT EXISTS (SELECT FROM changed) THEN"
      "    IF current_setting('application_name') LIKE '%sub-worker%' THEN PERFORM nextval('rehearsals'); "
      "END IF;"
      "    RAISE 'something has to change'; END IF; RETURN NULL; END $$;"
      "CREATE TRIGGER app_rule AFTER UPDATE ON procrastinate_jobs REFERENCING NEW TABLE AS changed "
      "FOR EACH STATEMENT EXECUTE FUNCTION app_rule()");
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto rehearsed = [this] { return sql("SELECT is_called FROM rehearsals") == "t"; };
  ASSERT_TRUE(eventually(rehearsed)) << family.log();
  const auto sub_workers = family.processes("postpone: sub-worker q/");
  for (const char* file : {"one", "two"}) {
    const auto id = defer_append(file);
    EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  }
  EXPECT_EQ(family.processes("postpone: sub-worker q/"), sub_workers);
  EXPECT_EQ(sql("SELECT last_value FROM rehearsals"), "1");
}

// --- a lease that is taken away ---

TEST_F(Refusals, ALeaseThatIsTakenUnderARunningJobIsReplacedAtOnceTenTimesInARow) {
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto sub_workers = family.processes("postpone: sub-worker q/");
  constexpr int kTimes = 10;
  for (int i = 1; i <= kTimes; ++i) {
    const std::string name = "go" + std::to_string(i);
    const auto id = defer("test.until", file_argument(name));
    ASSERT_TRUE(becomes(id, "doing")) << family.log();
    const auto lease = lease_of(id);
    sql("SELECT * FROM postpone_rescue_worker(" + lease + ", '[]', 'retry', 3, 'taken for dead')");
    touch(name);  // the outcome is pending when it learns that the lease is gone
    ASSERT_TRUE(becomes(id, "succeeded")) << family.log();
    EXPECT_NE(lease_of(id), lease);
    EXPECT_EQ(causes(id), "worker_lost succeeded") << "decided once, by the attempt that counts";
    EXPECT_EQ(count_of(family.log(), " is gone: another host rescued it"), i) << family.log();
    EXPECT_EQ(count_of(family.log(), "outcome dropped"), i) << "what the first attempt came to is told of";
  }
  EXPECT_EQ(family.processes("postpone: sub-worker q/"), sub_workers) << "none was killed";
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_workers"), "1");
}

TEST_F(Refusals, EveryRowOfAWorkerMayBeDeletedUnderARunningJob) {
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto id = defer("test.until", file_argument("go"));
  ASSERT_TRUE(becomes(id, "doing"));
  sql("TRUNCATE procrastinate_workers CASCADE");
  const auto next = defer("test.tick");
  touch("go");
  EXPECT_TRUE(becomes(defer("test.tick"), "succeeded")) << family.log();
  EXPECT_EQ(count_of(family.log(), " is gone: another host rescued it"), 1) << family.log();
}

// --- what a job asks for ---

TEST_F(Refusals, AFollowerThatAForeignKeyOfTheApplicationRefusesFailsItsJobOnce) {
  sql("CREATE TABLE known_tasks (name varchar PRIMARY KEY);"
      "INSERT INTO known_tasks VALUES ('test.defers'), ('test.tick');"
      "ALTER TABLE procrastinate_jobs ADD CONSTRAINT known_task FOREIGN KEY (task_name) REFERENCES "
      "known_tasks");
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto id = defer("test.defers", R"({"fails": false, "file": ")" + files_.file("f") + R"("})");
  const auto next = defer("test.tick");
  EXPECT_TRUE(becomes(next, "succeeded")) << family.log();
  EXPECT_EQ(status(id), "failed");
  EXPECT_EQ(causes(id), "exception") << "one attempt";
  EXPECT_THAT(sql("SELECT message FROM postpone_attempts WHERE job_id = " + id),
              HasSubstr("the jobs it deferred were refused: insert or update on table \"procrastinate_jobs\" "
                        "violates foreign key constraint \"known_task\""));
  EXPECT_EQ(count_of(family.log(), " is gone"), 0) << "no lease was lost\n" << family.log();
}

TEST_F(Refusals, ASuccessIsRecordedThoughItsRowCannotBeDeleted) {
  sql("CREATE TABLE receipts (job_id bigint CONSTRAINT receipt_of REFERENCES procrastinate_jobs (id))");
  Family family(database_.url(),
                supervisor_keys() + group("q", kTestTasks, 1, "delete_jobs = \"successful\""));
  family.wait_until_ready(1);
  const auto kept = defer("test.until", file_argument("go"));
  sql("INSERT INTO receipts VALUES (" + kept + ")");
  touch("go");
  EXPECT_TRUE(becomes(kept, "succeeded")) << family.log();
  const auto deleted = defer("test.tick");
  EXPECT_TRUE(eventually([&] { return status(deleted).empty(); })) << family.log();
  EXPECT_EQ(causes(kept), "succeeded");
  EXPECT_EQ(count_of(family.log(), "job " + kept + " has ended, but its row cannot be deleted and stays"), 1)
      << family.log();
  EXPECT_THAT(family.log(), HasSubstr("receipt_of"));
}

// --- what decorates a record ---

TEST_F(Refusals, ARetryStaysARetryThoughItsMessageIsRefused) {
  sql("ALTER TABLE postpone_attempts ADD CONSTRAINT plain CHECK (message IS NULL OR message !~ '[^ -~]')");
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto id = defer("test.says", R"({"words": "\u2192 not yet"})");
  EXPECT_TRUE(becomes(id, "failed")) << family.log();
  EXPECT_EQ(causes(id), "exception exception exception") << "its strategy gave it two more\n" << family.log();
  EXPECT_EQ(sql("SELECT DISTINCT message FROM postpone_attempts WHERE job_id = " + id), "??? not yet");
}

// --- rows that cannot be started, outcomes that cannot be recorded ---

TEST_F(Refusals, AJobThatCannotBeStartedIsNamedAndKeepsNoOtherWaiting) {
  Family family(database_.url(), supervisor_keys("") + group("q", kTestTasks, 2));
  family.wait_until_ready(2);
  trigger("NEW.status = 'doing' AND NEW.task_name = 'test.append'", "RAISE 'not before noon'");
  const auto stuck = defer_append("stuck", ", priority => 9");
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(becomes(defer("test.tick"), "succeeded")) << family.log();
  EXPECT_EQ(status(stuck), "todo");
  const std::string named = "job " + stuck + " (task test.append, queue q) cannot be started";
  EXPECT_GE(count_of(family.log(), named), 1) << family.log();
  EXPECT_LE(count_of(family.log(), named), 2) << "once for each sub-worker";
  EXPECT_THAT(family.log(), HasSubstr("not before noon"));
  EXPECT_EQ(family.processes("postpone: sub-worker q/").size(), 2u);
  sql("DROP TRIGGER app_rule ON procrastinate_jobs");
  EXPECT_TRUE(eventually([&] {
    defer("test.tick");  // whoever looks once its time has come starts it
    return status(stuck) == "succeeded";
  })) << family.log();
}

// What a trigger raises is for it to choose: errors that look like the server's own, too.
TEST_F(Refusals, AJobThatCannotBeStartedKeepsNoOtherWaitingWhateverItsTriggerRaises) {
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto sub_workers = family.processes("postpone: sub-worker q/");
  trigger("NEW.status = 'doing' AND NEW.task_name = 'test.append'", "NULL");
  for (const std::string raised :
       {"ASSERT false", "RAISE 'no' USING ERRCODE = 'XX000'", "RAISE 'no' USING ERRCODE = '55000'",
        "RAISE 'no' USING ERRCODE = '40001'"}) {
    SCOPED_TRACE(raised);
    sql("DROP TRIGGER app_rule ON procrastinate_jobs");
    trigger("NEW.status = 'doing' AND NEW.task_name = 'test.append'", raised);
    defer_append("stuck", ", priority => 9");
    EXPECT_TRUE(becomes(defer("test.tick"), "succeeded")) << family.log();
  }
  EXPECT_EQ(family.processes("postpone: sub-worker q/"), sub_workers) << family.log();
}

TEST_F(Refusals, ThousandsOfJobsThatCannotBeStartedKeepNoOtherWaiting) {
  trigger("NEW.status = 'doing' AND NEW.task_name = 'test.append'", "RAISE 'not before noon'");
  sql("SELECT count(postpone_defer('test.append', '{}', 'q', 9)) FROM generate_series(1, 3000)");
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 2));
  family.wait_until_ready(2);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(becomes(defer("test.tick"), "succeeded")) << family.log();
  EXPECT_LE(count_of(family.log(), "not before noon"), 2 * 25)
      << "a line for the first ones, and one for all";
}

TEST_F(Refusals, AJobAtTheEndOfTimeKeepsNoOtherWaiting) {
  sql("ALTER TABLE procrastinate_jobs DISABLE TRIGGER USER;"
      "INSERT INTO procrastinate_jobs (queue_name, task_name, scheduled_at) VALUES ('q', 'test.tick', "
      "'-infinity'),"
      " ('q', 'test.tick', '4714-11-24 00:00:00+00 BC');"
      "INSERT INTO procrastinate_events (job_id, type, at) VALUES (1, 'deferred', 'infinity');"
      "ALTER TABLE procrastinate_jobs ENABLE TRIGGER USER");
  Family family(database_.url(), supervisor_keys() + "[status]\nsocket = \"" + files_.file("s") + "\"\n" +
                                     group("q", kTestTasks, 1));
  family.wait_until_ready(1);
  EXPECT_TRUE(becomes(defer("test.tick"), "succeeded")) << family.log();
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_jobs WHERE id <= 2 AND status <> 'succeeded'"), "0")
      << family.log();
  EXPECT_EQ(count_of(family.log(), "infinite"), 0) << family.log();
}

TEST_F(Refusals, AnOutcomeThatATriggerAlwaysRefusesIsLeftToPeopleAndTheSubWorkerGoesOn) {
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto sub_workers = family.processes("postpone: sub-worker q/");
  trigger("NEW.status IN ('succeeded', 'failed') AND NEW.task_name = 'test.append'",
          "RAISE 'the books are closed'");
  const auto id = defer_append("done", ", lock => 'till'");
  const auto behind = defer("test.tick", "{}", ", lock => 'till'");
  EXPECT_TRUE(becomes(defer("test.tick"), "succeeded")) << family.log();
  EXPECT_EQ(status(id), "doing");
  EXPECT_EQ(status(behind), "todo") << "the lock is kept";
  EXPECT_EQ(family.processes("postpone: sub-worker q/"), sub_workers);
  EXPECT_EQ(read_file(files_.file("done")), "x") << "it ran once";
  EXPECT_THAT(family.log(), HasSubstr("job " + id + " has ended, but the database refuses to record it"));
  EXPECT_THAT(family.log(), HasSubstr("the books are closed"));
  const auto list = postpone_on(database_.url(), {"stalled", "list"});
  EXPECT_THAT(list.output, HasSubstr("reported"));
  sql("DROP TRIGGER app_rule ON procrastinate_jobs");
  const auto finished = postpone_on(database_.url(), {"jobs", "finish", id, "--status", "succeeded"});
  EXPECT_EQ(finished.exit_status, kDone) << finished.errors;
  EXPECT_TRUE(becomes(behind, "succeeded")) << family.log();
  EXPECT_EQ(read_file(files_.file("done")), "x") << "and it was not run again";
}

TEST_F(Refusals, TheLargestNumberOfAttemptsIsAnAttemptLikeAnyOther) {
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto id =
      sql("INSERT INTO procrastinate_jobs (queue_name, task_name, attempts) VALUES ('q', 'test.tick', "
          "2147483647) "
          "RETURNING id");
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(sql("SELECT attempts FROM procrastinate_jobs WHERE id = " + id), "2147483647");
  EXPECT_TRUE(becomes(defer("test.tick"), "succeeded")) << family.log();
}

// A sub-worker dies whose job the database refuses to decide.
TEST_F(Refusals, AGraveThatCannotBeSettledIsLeftToPeopleAndKeepsNoOtherOpen) {
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 2));
  family.wait_until_ready(2);
  trigger("OLD.status = 'doing' AND OLD.lock = 'cursed' AND NEW.status <> 'doing'",
          "RAISE 'no end of this one'");
  sql("DROP TRIGGER app_rule ON procrastinate_jobs; CREATE TRIGGER app_rule BEFORE UPDATE ON "
      "procrastinate_jobs "
      "FOR EACH ROW EXECUTE FUNCTION app_rule()");
  const auto cursed = defer("test.until", file_argument("never"), ", lock => 'cursed'");
  ASSERT_TRUE(becomes(cursed, "doing"));
  send_signal(runner_once_it_runs(family, "test.until"), SIGKILL);
  EXPECT_TRUE(eventually([&] { return count_of(family.log(), "no end of this one") > 0; })) << family.log();
  const auto other = defer("test.until", file_argument("go"), ", lock => 'plain'");
  ASSERT_TRUE(becomes(other, "doing")) << family.log();
  const auto lease = lease_of(other);
  send_signal(runner_once_it_runs(family, "test.until"), SIGKILL);
  touch("go");
  EXPECT_TRUE(becomes(other, "succeeded")) << "rescued while the other grave is open\n" << family.log();
  EXPECT_EQ(causes(other), "worker_lost succeeded");
  EXPECT_TRUE(eventually([&] { return causes(cursed) == "worker_lost" && lease_of(cursed).empty(); }))
      << "its lease ends, and it stays in doing\n"
      << family.log();
  EXPECT_EQ(status(cursed), "doing");
  EXPECT_EQ(family.stop().code, 0) << family.log();
}

// --- locks that somebody keeps ---

TEST_F(Refusals, OneLockedLeaseSilencesNoOther) {
  Family family(database_.url(), supervisor_keys(kShortSilence) + group("q", kTestTasks, 2));
  family.wait_until_ready(2);
  const auto id = defer("test.until", file_argument("go"));
  ASSERT_TRUE(becomes(id, "doing"));
  // The lease of the idle one, for longer than fence_after.
  sql("BEGIN; SELECT id FROM procrastinate_workers WHERE id <> " + lease_of(id) + " FOR UPDATE");
  EXPECT_TRUE(eventually([&] {
    return count_of(family.log(), "gets no heartbeats: another session has locked") == 1;
  })) << family.log();
  TestDatabase& database = database_;
  const auto heard = [&] {
    return execute(database.url(),
                   "SELECT extract(epoch FROM last_heartbeat) FROM procrastinate_workers w JOIN "
                   "procrastinate_jobs j ON j.worker_id = w.id WHERE j.id = " +
                       id);
  };
  // Heartbeats of the running one arrive until more than fence_after has passed since the lock was taken.
  const double since = std::stod(heard());
  EXPECT_TRUE(eventually([&] { return std::stod(heard()) > since + 3.5; })) << family.log();
  EXPECT_EQ(status(id), "doing");
  touch("go");
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(causes(id), "succeeded") << "nothing has stopped it";
  sql("ROLLBACK");
}

// Most duties of the housekeeper wait behind the lock, each until its timeout. The heartbeats do not.
TEST_F(Refusals, ALockedJobsTableFencesNoJobThatRuns) {
  const std::string keys =
      "[supervisor]\npolling_interval = \"200ms\"\nheartbeat_interval = \"2s\"\nfence_after = \"4s\"\n"
      "stalled_after = \"6s\"\n[status]\nsocket = \"" +
      files_.file("status") + "\"\n";
  Family family(database_.url(), keys + group("q", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto id = defer("test.until", file_argument("go"));
  ASSERT_TRUE(becomes(id, "doing"));
  const std::string lease = "SELECT count(*) FROM procrastinate_workers WHERE id = " + lease_of(id);
  const std::string url = database_.url();
  sql("BEGIN; LOCK TABLE procrastinate_jobs");
  // Three times as long as a fence without heartbeats.
  const auto until = std::chrono::steady_clock::now() + 12s;
  while (std::chrono::steady_clock::now() < until) {
    ASSERT_EQ(execute(url, lease), "1") << "the lease is gone\n" << family.log();
    std::this_thread::sleep_for(100ms);
  }
  sql("ROLLBACK");
  touch("go");
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(causes(id), "succeeded") << "nothing has stopped it";
}

}  // namespace
}  // namespace postpone::tests
