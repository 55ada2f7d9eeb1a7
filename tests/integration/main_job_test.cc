// The main job, end to end: a job deferred with one SQL call is heard of, fetched, run in a task process, and
// its outcome stands in the database. The polling interval of these families is so long that whatever happens
// was not found by polling.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <string>

#include "tests/support/database.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/job_story.h"

namespace postpone::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::string kNoPolling = "[supervisor]\npolling_interval = \"1h\"\n";
const std::string kMisbehave = POSTPONE_EXAMPLES_DIR "/misbehave";
const std::string kLetters = POSTPONE_EXAMPLES_DIR "/letters";
const std::string kTestTasks = POSTPONE_TEST_TASKS;

class MainJob : public DatabaseStory {
 protected:
  // But those of the queue "default", to which test.tick is deferred every second.
  bool all_end() const {
    return eventually([&] {
      return sql("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing') AND queue_name "
                 "<> 'default'") == "0";
    });
  }
  std::string message(const std::string& id) const {
    return sql("SELECT message FROM postpone_attempts WHERE job_id = " + id +
               " ORDER BY attempt DESC LIMIT 1");
  }
  std::string events(const std::string& id) const {
    return sql("SELECT string_agg(type::text, ' ' ORDER BY id) FROM procrastinate_events WHERE job_id = " +
               id);
  }
};

TEST_F(MainJob, OneSqlCallAndTheOutcomeStandsInTheDatabase) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 2));
  family.wait_until_ready(2);
  const auto id = defer("misbehave.noop", "m");
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(events(id), "deferred started succeeded");
  EXPECT_EQ(causes(id), "succeeded");
  EXPECT_EQ(sql("SELECT attempts::text || coalesce(worker_id::text, ' nobody') FROM procrastinate_jobs"),
            "1 nobody");
  EXPECT_EQ(family.stop().code, 0);
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_workers"), "0") << "leases are given back";
}

TEST_F(MainJob, EachWayToMisbehaveCostsOneJobAndItsReasonIsKept) {
  const struct {
    const char* task;
    const char* args;
    const char* cause;
    const char* message;
  } ways[] = {{"misbehave.throw", R"({"message": "sour milk"})", "exception", "sour milk"},
              {"misbehave.segfault", "{}", "signalled", "signal 11"},
              {"misbehave.abort", "{}", "signalled", "signal 6"},
              {"misbehave.exit", R"({"status": 3})", "exited", "exit status 3"},
              {"misbehave.garble", "{}", "protocol_error", "garbled"},
              {"misbehave.flood", "{}", "output_flood", "max_output"},
              {"misbehave.hang", "{}", "timed_out", "time limit"},
              {"misbehave.exit", R"({"status": "three"})", "bad_arguments", R"(argument "status")"},
              {"misbehave.exit", R"({"sttus": 3})", "bad_arguments", "sttus"},
              {"misbehave.unheard_of", "{}", "unknown_task", "of its 16 tasks these are the nearest"}};
  Family family(database_.url(),
                kNoPolling + group("m", kMisbehave, 2,
                                   "time_limit = \"5s\"\nabort_grace = \"100ms\"\nmax_output = \"1MiB\"\n"
                                   "unknown_task = \"fail\"\nbad_arguments = \"fail\""));
  family.wait_until_ready(2);
  for (const auto& way : ways) {
    const auto id = defer(way.task, "m", way.args);
    EXPECT_TRUE(becomes(id, "failed")) << way.task << "\n" << family.log();
    EXPECT_EQ(causes(id), way.cause);
    EXPECT_THAT(message(id), HasSubstr(way.message));
    EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded")) << "after " << way.task;
  }
  EXPECT_EQ(sql("SELECT count(*) FROM postpone_workers"), "2") << "no sub-worker was lost";
}

TEST_F(MainJob, TheLastWordsOfACrashAreKept) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  const auto id = defer("misbehave.close_channel", "m");
  EXPECT_TRUE(becomes(id, "failed"));
  EXPECT_THAT(sql("SELECT stderr_tail FROM postpone_attempts"), HasSubstr("channel"));
  EXPECT_THAT(family.log(), HasSubstr("job " + id + " misbehave.close_channel stderr:"));
}

TEST_F(MainJob, RetriesFollowTheTasksStrategy) {
  Family family(database_.url(), kNoPolling + group("t", kTestTasks, 2));
  family.wait_until_ready(2);
  const auto flaky = defer("test.flaky", "t");
  const auto other = defer("test.other_error", "t");
  const auto hopeless = defer("test.hopeless", "t");
  const auto later = defer("test.later", "t");
  const auto demoted = defer("test.demoted", "t");
  EXPECT_TRUE(becomes(flaky, "succeeded")) << family.log();
  EXPECT_EQ(causes(flaky), "exception exception succeeded");
  EXPECT_TRUE(becomes(other, "failed"));
  EXPECT_EQ(causes(other), "exception") << "an exception that is not retried";
  EXPECT_TRUE(becomes(hopeless, "failed"));
  EXPECT_EQ(causes(hopeless), "exception exception exception") << "once and two retries";
  EXPECT_TRUE(becomes(later, "succeeded")) << "woken when due, not by polling";
  EXPECT_EQ(events(later), "deferred started deferred_for_retry scheduled started succeeded");
  EXPECT_EQ(sql("SELECT queue_name || ' ' || priority || ' ' || lock || ' ' || status FROM "
                "procrastinate_jobs WHERE id = " +
                demoted),
            "elsewhere -7 narrow todo");
}

TEST_F(MainJob, AScheduledJobStartsWhenItIsDue) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 2));
  family.wait_until_ready(2);
  const auto second =
      defer("misbehave.noop", "m", "{}", ", scheduled_at => clock_timestamp() + interval '1500 ms'");
  const auto first =
      defer("misbehave.noop", "m", "{}", ", scheduled_at => clock_timestamp() + interval '700 ms'");
  EXPECT_TRUE(becomes(second, "succeeded")) << family.log();
  EXPECT_EQ(status(first), "succeeded");
  EXPECT_EQ(sql("SELECT bool_and(e.at >= j.scheduled_at) FROM procrastinate_jobs j JOIN procrastinate_events "
                "e ON e.job_id = j.id "
                "WHERE e.type = 'started'"),
            "t");
}

TEST_F(MainJob, AFreedLockWakesTheNext) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 4) + group("n", kMisbehave, 4));
  family.wait_until_ready(8);
  for (int i = 0; i < 12; ++i)
    defer("misbehave.journal", i % 3 == 0 ? "n" : "m", file_argument("journal"), ", lock => 'sink'");
  EXPECT_TRUE(all_end()) << family.log();
  const auto journal = read_journal(files_.file("journal"));
  ASSERT_EQ(journal.size(), 24u);
  for (std::size_t i = 0; i < journal.size(); ++i) {
    EXPECT_EQ(journal[i].what, i % 2 == 0 ? "start" : "end");
    EXPECT_EQ(journal[i].job_id, static_cast<std::int64_t>(i / 2 + 1))
        << "one at a time, in order, across queues";
  }
}

TEST_F(MainJob, LettersComeInOrderUnderTwoSupervisors) {
  const std::string config = kNoPolling + group("letters", kLetters, 4);
  Family one(database_.url(), config);
  Family two(database_.url(), config);
  one.wait_until_ready(4);
  two.wait_until_ready(4);
  for (int round = 0; round < 5; ++round) {
    const std::string file = files_.file("letters" + std::to_string(round));
    for (const char* letter : {"a", "b", "c", "d"})
      defer("letters.append", "letters",
            R"({"file": ")" + file + R"(", "letter": ")" + letter + R"(", "max_ms": 30})",
            ", lock => 'letters'");
    EXPECT_TRUE(all_end()) << one.log() << two.log();
    EXPECT_EQ(read_file(file), "abcd");
  }
}

TEST_F(MainJob, AnElderThatWaitsForItsTimeBlocksItsLock) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 2));
  const auto elder =
      defer("misbehave.noop", "m", "{}", ", lock => 'l', scheduled_at => now() + interval '1 hour'");
  const auto younger = defer("misbehave.noop", "m", "{}", ", lock => 'l'");
  family.wait_until_ready(2);
  EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded"));
  EXPECT_EQ(status(younger), "todo");
  sql("SELECT procrastinate_cancel_job_v1(" + elder + ", false, false)");
  EXPECT_TRUE(becomes(younger, "succeeded")) << "its cancellation wakes the next";
}

TEST_F(MainJob, TheHigherPriorityGoesFirst) {
  Family family(database_.url(), kNoPolling + group("t", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto busy = defer("test.until", "t", file_argument("go"));
  ASSERT_TRUE(becomes(busy, "doing"));
  const auto append = [&](const char* text, int priority) {
    defer("test.append", "t", R"({"file": ")" + files_.file("order") + R"(", "text": ")" + text + R"("})",
          ", priority => " + std::to_string(priority));
  };
  append("3", 0);
  append("4", 0);
  append("1", 7);
  append("5", -1);
  append("2", 7);
  std::fclose(std::fopen(files_.file("go").c_str(), "w"));
  EXPECT_TRUE(all_end());
  EXPECT_EQ(read_file(files_.file("order")), "12345");
}

TEST_F(MainJob, QueuesAreServedByTheGroupsThatNameThem) {
  const std::string everything =
      "[[group]]\nname = \"rest\"\nexecutable = \"" + kTestTasks + "\"\ncount = 1\n";
  Family family(database_.url(), kNoPolling + group("only", kTestTasks, 1));
  family.wait_until_ready(1);
  const std::string long_name(128, 'q');
  const auto foreign = defer("test.tick", long_name);
  EXPECT_TRUE(becomes(defer("test.tick", "only"), "succeeded"));
  EXPECT_EQ(status(foreign), "todo");
  Family all(database_.url(), kNoPolling + everything);
  all.wait_until_ready(1);
  EXPECT_TRUE(becomes(foreign, "succeeded")) << all.log();
  EXPECT_TRUE(becomes(defer("test.tick", long_name), "succeeded"))
      << "a name too long for a channel is heard of all the same";
}

TEST_F(MainJob, AnAbortedJobStopsAndOneThatDoesNotIsKilled) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 2, "abort_grace = \"300ms\""));
  family.wait_until_ready(2);
  const auto polite = defer("misbehave.wait", "m", R"({"ms": 600000})");
  const auto deaf = defer("misbehave.hang", "m");
  for (const auto& id : {polite, deaf}) {
    ASSERT_TRUE(becomes(id, "doing"));
    EXPECT_EQ(sql("SELECT procrastinate_cancel_job_v1(" + id + ", true, false)"), id);
    EXPECT_TRUE(becomes(id, "aborted")) << family.log();
    EXPECT_EQ(causes(id), "aborted");
  }
  EXPECT_THAT(message(deaf), HasSubstr("signal 9"));
  EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded"));
}

TEST_F(MainJob, JobsDeferredByAJobComeWithItsSuccessOrNotAtAll) {
  Family family(database_.url(), kNoPolling + group("t", kTestTasks, 2));
  family.wait_until_ready(2);
  const auto good =
      defer("test.defers", "t", R"({"fails": false, "file": ")" + files_.file("good") + R"("})");
  const auto bad = defer("test.defers", "t", R"({"fails": true, "file": ")" + files_.file("bad") + R"("})");
  const auto impossible = defer("test.impossible_defer", "t");
  EXPECT_TRUE(all_end()) << family.log();
  EXPECT_EQ(status(good), "succeeded");
  EXPECT_EQ(read_file(files_.file("good")), "deferred");
  EXPECT_EQ(status(bad), "failed");
  EXPECT_EQ(read_file(files_.file("bad")), "");
  EXPECT_EQ(status(impossible), "failed");
  EXPECT_THAT(message(impossible), HasSubstr("longer than 128 characters"));
}

TEST_F(MainJob, FinishedJobsAreDeletedAsTheGroupSays) {
  Family family(database_.url(), kNoPolling + group("keep", kMisbehave, 1) +
                                     group("tidy", kMisbehave, 1, "delete_jobs = \"successful\"") +
                                     group("bare", kMisbehave, 1, "delete_jobs = \"always\""));
  family.wait_until_ready(3);
  for (const char* queue : {"keep", "tidy", "bare"}) {
    defer("misbehave.noop", queue);
    defer("misbehave.throw", queue);
  }
  EXPECT_TRUE(all_end());
  EXPECT_EQ(sql("SELECT string_agg(queue_name || ' ' || status, ', ' ORDER BY id) FROM procrastinate_jobs"),
            "keep succeeded, keep failed, tidy failed");
}

TEST_F(MainJob, ATaskProcessSeesNeitherTheDatabaseNorForeignDescriptors) {
  FamilyOptions options;
  options.environment = {{"PGPASSWORD", "secret-one"}, {"PGCONNECT_TIMEOUT", "77"}};
  Family family(database_.url(), kNoPolling + group("t", kTestTasks, 1, "environment = { OVEN = \"hot\" }"),
                options);
  family.wait_until_ready(1);
  EXPECT_TRUE(becomes(defer("test.surroundings", "t", file_argument("seen")), "succeeded")) << family.log();
  const std::string seen = read_file(files_.file("seen"));
  EXPECT_THAT(seen, AllOf(HasSubstr("OVEN=hot"), HasSubstr("PATH="), HasSubstr("fd 3 socket:")));
  EXPECT_THAT(seen, AllOf(Not(HasSubstr("PGPASSWORD")), Not(HasSubstr("PGCONNECT_TIMEOUT")),
                          Not(HasSubstr("DATABASE_URL")), Not(HasSubstr("memfd"))));
  for (const char* fd : {"fd 0 /dev/null", "fd 1 pipe:", "fd 2 pipe:"}) EXPECT_THAT(seen, HasSubstr(fd));
}

TEST_F(MainJob, ATaskProcessServesManyJobsUntilItIsRecycled) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1) +
                                     group("two", kMisbehave, 1, "max_jobs = 2") +
                                     group("fresh", kMisbehave, 1, "fresh_process_per_job = true"));
  family.wait_until_ready(3);
  for (const char* queue : {"m", "two", "fresh"})
    for (int i = 0; i < 4; ++i) defer("misbehave.journal", queue, file_argument(queue));
  EXPECT_TRUE(all_end()) << family.log();
  const auto processes = [&](const char* queue) {
    std::set<pid_t> pids;
    for (const auto& line : read_journal(files_.file(queue))) pids.insert(line.pid);
    return pids.size();
  };
  EXPECT_EQ(processes("m"), 1u);
  EXPECT_EQ(processes("two"), 2u);
  EXPECT_EQ(processes("fresh"), 4u);
}

TEST_F(MainJob, ManySubWorkersShareFewConnections) {
  Family family(database_.url(), "[database]\npool_size = 2\n" + kNoPolling + group("t", kTestTasks, 6));
  family.wait_until_ready(6);
  for (int i = 0; i < 6; ++i) defer("test.until", "t", file_argument("go"));
  EXPECT_TRUE(eventually([&] {
    return sql("SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'") == "6";
  })) << "a long job gives its connection up\n"
      << family.log();
  EXPECT_LE(
      std::stoi(
          sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name "
              "LIKE 'postpone sub-worker%'")),
      2);
  std::fclose(std::fopen(files_.file("go").c_str(), "w"));
  EXPECT_TRUE(all_end()) << family.log();
}

// A new connection costs more than many jobs: a sub-worker uses it for a while, though others wait for one.
TEST_F(MainJob, AFewConnectionsAreNotHandedOverAfterEachSetOfShortJobs) {
  Family family(database_.url(), "[database]\npool_size = 1\n" + kNoPolling + group("m", kMisbehave, 4));
  family.wait_until_ready(4);
  const auto begin = std::chrono::steady_clock::now();
  const auto sessions = [this] {
    return std::stoll(sql("SELECT sessions FROM pg_stat_database WHERE datname = current_database()"));
  };
  const auto before = sessions();
  sql("SELECT count(postpone_defer('misbehave.noop', queue => 'm')) FROM generate_series(1, 3000)");
  EXPECT_TRUE(all_end()) << family.log();
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
  // Each is used for 100 ms.
  EXPECT_LE(sessions() - before, took.count() / 100 + 8) << family.log();
}

TEST_F(MainJob, WithoutListeningThePollingIntervalFindsTheWork) {
  Family family(database_.url(), "[database]\nlisten = false\n[supervisor]\npolling_interval = \"100ms\"\n" +
                                     group("m", kMisbehave, 2));
  family.wait_until_ready(2, false);
  EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded"));
  EXPECT_EQ(sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                "application_name = 'postpone "
                "supervisor'"),
            "0");
  const auto id = defer("misbehave.wait", "m", R"({"ms": 600000})");
  ASSERT_TRUE(becomes(id, "doing"));
  sql("SELECT procrastinate_cancel_job_v1(" + id + ", true, false)");
  EXPECT_TRUE(becomes(id, "aborted")) << "abort requests are polled for too";
}

TEST_F(MainJob, OneShotWorksOffWhatIsThereAndEnds) {
  for (int i = 0; i < 30; ++i) defer("misbehave.noop", "m", "{}", i % 2 ? ", lock => 'l'" : "");
  const auto future = defer("misbehave.noop", "m", "{}", ", scheduled_at => now() + interval '1 hour'");
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 3), {.arguments = {"--one-shot"}});
  EXPECT_EQ(family.wait().code, 0) << family.log();
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"), "30");
  EXPECT_EQ(status(future), "todo");
  EXPECT_TRUE(family.processes().empty());
}

TEST_F(MainJob, PausedItFetchesNothingAndResumedItGoesOn) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 2));
  family.wait_until_ready(2);
  family.signal(SIGTSTP);
  ASSERT_TRUE(eventually([&] { return family.log().find("paused") != std::string::npos; }));
  const auto id = defer("misbehave.noop", "m");
  // A second supervisor, which is not paused, takes a job that came later; the first had all that time for
  // this one.
  Family other(database_.url(), kNoPolling + group("n", kMisbehave, 1));
  other.wait_until_ready(1);
  ASSERT_TRUE(becomes(defer("misbehave.noop", "n"), "succeeded"));
  EXPECT_EQ(status(id), "todo");
  family.signal(SIGCONT);
  EXPECT_TRUE(becomes(id, "succeeded"));
}

TEST_F(MainJob, PeriodicTasksAreDeferredOncePerTick) {
  const std::string config = kNoPolling + group("default", kTestTasks, 1);
  Family one(database_.url(), config);
  Family two(database_.url(), config);
  EXPECT_TRUE(eventually([&] {
    return std::stoi(sql("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'test.tick'")) >= 4;
  }));
  EXPECT_EQ(sql("SELECT count(*) FROM (SELECT args->>'timestamp' FROM procrastinate_jobs GROUP BY 1 HAVING "
                "count(*) > 1) twice"),
            "0");
}

TEST_F(MainJob, NothingIsLostOrRunTwice) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 8));
  family.wait_until_ready(8);
  sql("SELECT count(postpone_defer('misbehave.noop', queue => 'm')) FROM generate_series(1, 2000)");
  EXPECT_TRUE(eventually(
      [&] { return sql("SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'") == "2000"; },
      std::chrono::seconds(100)));
  // A sub-worker may have given it back before it began.
  EXPECT_EQ(
      sql("SELECT count(*) FROM (SELECT job_id FROM procrastinate_events GROUP BY job_id HAVING count(*) "
          "FILTER (WHERE type = 'started') = 1 + count(*) FILTER (WHERE type = 'deferred_for_retry') AND "
          "count(*) FILTER (WHERE type = 'succeeded') = 1) once"),
      "2000");
  EXPECT_EQ(sql("SELECT count(*) FROM postpone_attempts"), "2000");
}

}  // namespace
}  // namespace postpone::tests
