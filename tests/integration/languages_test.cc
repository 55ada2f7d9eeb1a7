// Task executables in each language under a real supervisor: what their jobs end with, and two languages beside
// each other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "tests/support/database.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/job_story.h"
#include "tests/support/language.h"
#include "tests/support/signals.h"

namespace postpone::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::string kNoPolling = "[supervisor]\npolling_interval = \"1h\"\n";

class LanguageStory : public DatabaseStory {
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

class InEachLanguage : public LanguageStory, public testing::WithParamInterface<Language> {
 protected:
  static std::string misbehave() { return misbehave_in(GetParam()); }
  static std::string test_tasks() { return test_tasks_in(GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(, InEachLanguage, testing::ValuesIn(kLanguages));

TEST_P(InEachLanguage, EachWayToMisbehaveCostsOneJobAndItsReasonIsKept) {
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
              {"misbehave.unheard_of", "{}", "unknown_task", "of its 17 tasks these are the nearest"}};
  // The time limit is that of the one which needs it: a busy machine may take seconds over any other.
  Family family(database_.url(),
                kNoPolling +
                    group("m", misbehave(), 2,
                          "max_output = \"1MiB\"\nunknown_task = \"fail\"\nbad_arguments = \"fail\"") +
                    group("limited", misbehave(), 1, "time_limit = \"1s\"\nabort_grace = \"100ms\""));
  family.wait_until_ready(3);
  for (const auto& way : ways) {
    const std::string queue = way.cause == std::string("timed_out") ? "limited" : "m";
    const auto id = defer(way.task, queue, way.args);
    EXPECT_TRUE(becomes(id, "failed")) << way.task << "\n" << family.log();
    EXPECT_EQ(causes(id), way.cause);
    EXPECT_THAT(message(id), HasSubstr(way.message));
    EXPECT_TRUE(becomes(defer("misbehave.noop", queue), "succeeded")) << "after " << way.task;
  }
  EXPECT_EQ(sql("SELECT count(*) FROM postpone_workers"), "3") << "no sub-worker was lost";
}

TEST_P(InEachLanguage, TheLastWordsOfACrashAreKept) {
  Family family(database_.url(), kNoPolling + group("m", misbehave(), 1));
  family.wait_until_ready(1);
  const auto id = defer("misbehave.close_channel", "m");
  EXPECT_TRUE(becomes(id, "failed"));
  EXPECT_THAT(sql("SELECT stderr_tail FROM postpone_attempts"), HasSubstr("channel"));
  EXPECT_THAT(family.log(), HasSubstr("job " + id + " misbehave.close_channel stderr:"));
}

TEST_P(InEachLanguage, RetriesFollowTheTasksStrategy) {
  Family family(database_.url(), kNoPolling + group("t", test_tasks(), 2));
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

TEST_P(InEachLanguage, AnAbortedJobStopsAndOneThatDoesNotIsKilled) {
  Family family(database_.url(), kNoPolling + group("m", misbehave(), 2, "abort_grace = \"300ms\""));
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

TEST_P(InEachLanguage, JobsDeferredByAJobComeWithItsSuccessOrNotAtAll) {
  Family family(database_.url(), kNoPolling + group("t", test_tasks(), 2));
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

TEST_P(InEachLanguage, ATaskProcessSeesNeitherTheDatabaseNorForeignDescriptors) {
  FamilyOptions options;
  options.environment = {{"PGPASSWORD", "secret-one"}, {"PGCONNECT_TIMEOUT", "77"}};
  Family family(database_.url(), kNoPolling + group("t", test_tasks(), 1, "environment = { OVEN = \"hot\" }"),
                options);
  family.wait_until_ready(1);
  EXPECT_TRUE(becomes(defer("test.surroundings", "t", file_argument("seen")), "succeeded")) << family.log();
  const std::string seen = read_file(files_.file("seen"));
  EXPECT_THAT(seen, AllOf(HasSubstr("OVEN=hot"), HasSubstr("PATH="), HasSubstr("fd 3 socket:")));
  EXPECT_THAT(seen, AllOf(Not(HasSubstr("PGPASSWORD")), Not(HasSubstr("PGCONNECT_TIMEOUT")),
                          Not(HasSubstr("DATABASE_URL")), Not(HasSubstr("memfd"))));
  for (const char* fd : {"fd 0 /dev/null", "fd 1 pipe:", "fd 2 pipe:"}) EXPECT_THAT(seen, HasSubstr(fd));
}

TEST_P(InEachLanguage, ATaskProcessServesManyJobsUntilItIsRecycled) {
  Family family(database_.url(), kNoPolling + group("m", misbehave(), 1) +
                                     group("two", misbehave(), 1, "max_jobs = 2") +
                                     group("fresh", misbehave(), 1, "fresh_process_per_job = true"));
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

TEST_P(InEachLanguage, SetUpTearDownAndMiddlewareDoWhatTheySay) {
  Family family(database_.url(), group("t", test_tasks(), 1));
  family.wait_until_ready(1);
  for (const char* task : {"test.was_set_up", "test.forgiving.throws"})
    EXPECT_TRUE(becomes(defer(task, "t"), "succeeded")) << family.log();
  EXPECT_EQ(family.stop().code, 0);
  EXPECT_THAT(family.log(), HasSubstr("forgiven: of no account"));
  EXPECT_THAT(family.log(), HasSubstr("torn down"));
}

TEST_P(InEachLanguage, AJobKnowsWhichOneHasDeferredIt) {
  Family family(database_.url(), kNoPolling + group("t", test_tasks(), 1));
  family.wait_until_ready(1);
  EXPECT_TRUE(becomes(defer("test.chain", "t", R"({"links": 3})"), "succeeded")) << family.log();
  EXPECT_TRUE(becomes("3", "succeeded")) << family.log();
  EXPECT_EQ(
      sql("SELECT string_agg(concat_ws(' ', id, deferred_by, result), ', ' ORDER BY id) FROM postpone_jobs"),
      R"(1, 2 1 {"deferred_by": 1}, 3 2 {"deferred_by": 2})");
}

TEST_P(InEachLanguage, WhatAJobTellsIsKeptAndItsFollowersHaveItsMeta) {
  Family family(database_.url(), kNoPolling + group("t", test_tasks(), 1));
  family.wait_until_ready(1);
  const auto id =
      sql("INSERT INTO procrastinate_jobs (queue_name, task_name, args, meta) VALUES ('t', 'test.give', '" +
          file_argument("go") + R"(', '{"tenant": "ann"}') RETURNING id)");
  const auto shown = [&](const std::string& columns) {
    return sql("SELECT concat_ws('|', " + columns + ") FROM postpone_jobs WHERE id = " + id);
  };
  EXPECT_TRUE(eventually([&] { return shown("progress") == "1 of 2: half way"; })) << family.log();
  std::ofstream(files_.file("go")) << "go";
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  EXPECT_EQ(shown("progress, result ->> 'attempt', result -> 'meta' ->> 'tenant'"), "2 of 2: done|1|ann");
  EXPECT_EQ(sql("SELECT string_agg(meta ->> 'tenant', ' ' ORDER BY id) FROM procrastinate_jobs WHERE "
                "queue_name = 'followers'"),
            "ann bob");
  EXPECT_TRUE(becomes(defer("test.log", "t"), "succeeded")) << family.log();
  EXPECT_THAT(family.log(), HasSubstr("half way"));
}

TEST_P(InEachLanguage, ARetryThatAHandlerAsksForCountsUnlessItSaysOtherwise) {
  Family family(database_.url(), kNoPolling + group("t", test_tasks(), 1));
  family.wait_until_ready(1);
  const auto counted = defer("test.busy", "t", R"({"counts": true})");
  EXPECT_TRUE(becomes(counted, "failed")) << family.log();
  EXPECT_EQ(causes(counted), "exception exception exception");
  EXPECT_EQ(sql("SELECT priority FROM procrastinate_jobs WHERE id = " + counted), "3");
  EXPECT_TRUE(becomes(defer("test.busy", "t", R"({"counts": false})"), "succeeded")) << family.log();
}

TEST_P(InEachLanguage, ATaskMayHaveAnAliasAndAProcessForEachJob) {
  Family family(database_.url(), kNoPolling + group("t", test_tasks(), 1));
  family.wait_until_ready(1);
  EXPECT_TRUE(becomes(defer("test.old_name", "t"), "succeeded")) << family.log();
  EXPECT_THAT(family.log(), HasSubstr("as test.old_name"));
  for (int i = 0; i < 2; ++i)
    EXPECT_TRUE(becomes(defer("test.alone", "t", file_argument("pids")), "succeeded")) << family.log();
  std::istringstream pids(read_file(files_.file("pids")));
  std::string first;
  std::string second;
  pids >> first >> second;
  EXPECT_NE(first, second);
}

// Queues of their own, and locks across both.
class SideBySide : public LanguageStory {
 protected:
  SideBySide() { family_.wait_until_ready(4); }

  // In turn.
  static std::string queue(int i) { return i % 2 == 0 ? "cpp" : "python"; }
  // Sub-workers and task processes of one language.
  std::vector<pid_t> task_processes(Language language) const {
    return family_.processes(process_title(misbehave_in(language)));
  }
  std::string where(const std::string& condition) const {
    return sql("SELECT count(*) FROM procrastinate_jobs WHERE " + condition);
  }
  // No job begins while another one of the same lock runs.
  void expect_that_jobs_take_turns(std::size_t jobs) const {
    const auto journal = read_journal(files_.file("journal"));
    ASSERT_EQ(journal.size(), 2 * jobs);
    std::set<pid_t> processes;
    for (std::size_t i = 0; i < journal.size(); ++i) {
      EXPECT_EQ(journal[i].what, i % 2 == 0 ? "start" : "end");
      EXPECT_EQ(journal[i].job_id, static_cast<std::int64_t>(i / 2 + 1)) << "in order";
      processes.insert(journal[i].pid);
    }
    EXPECT_GE(processes.size(), 2u) << "both languages took part";
  }

  Family family_{database_.url(), kNoPolling + group("cpp", misbehave_in(Language::cpp), 2) +
                                      group("python", misbehave_in(Language::python), 2)};
};

TEST_F(SideBySide, JobsOfOneLockTakeTurnsAcrossLanguages) {
  for (int i = 0; i < 12; ++i)
    defer("misbehave.journal", queue(i), file_argument("journal"), ", lock => 'sink'");
  EXPECT_TRUE(all_end()) << family_.log();
  expect_that_jobs_take_turns(12);
}

TEST_F(SideBySide, AKilledTaskProcessCostsTheJobOfItsLanguageOneAttempt) {
  const std::string args = R"({"file": ")" + files_.file("journal") + R"(", "ms": 3000})";
  const auto in_cpp = defer("misbehave.journal", "cpp", args);
  const auto in_python = defer("misbehave.journal", "python", args);
  ASSERT_TRUE(eventually([&] { return read_journal(files_.file("journal")).size() == 2; })) << family_.log();
  for (const pid_t task : task_processes(Language::python)) send_signal(task, SIGKILL);
  EXPECT_TRUE(all_end()) << family_.log();
  EXPECT_EQ(causes(in_cpp), "succeeded");
  EXPECT_EQ(causes(in_python), "signalled succeeded");
}

TEST_F(SideBySide, AKilledSubWorkerCostsItsJobOneAttemptWhicheverLanguageItRuns) {
  const std::string args = R"({"file": ")" + files_.file("journal") + R"(", "ms": 3000})";
  const auto in_cpp = defer("misbehave.journal", "cpp", args);
  const auto in_python = defer("misbehave.journal", "python", args);
  ASSERT_TRUE(eventually([&] { return read_journal(files_.file("journal")).size() == 2; })) << family_.log();
  for (const char* group : {"cpp", "python"})
    for (const pid_t pid : family_.processes(std::string("postpone: sub-worker ") + group + "/"))
      send_signal(pid, SIGKILL);
  EXPECT_TRUE(all_end()) << family_.log();
  EXPECT_EQ(causes(in_cpp), "worker_lost succeeded");
  EXPECT_EQ(causes(in_python), "worker_lost succeeded");
  EXPECT_TRUE(eventually([&] { return task_processes(Language::python).size() == 2; })) << family_.log();
}

// Short jobs, several at a time, of which a kill may hit any.
TEST_F(SideBySide, NoJobIsLostOrRecordedTwiceWhileProcessesAreKilled) {
  constexpr int kJobs = 1000;
  for (const char* queue : {"cpp", "python"})
    sql("SELECT count(postpone_defer('misbehave.noop', queue => '" + std::string(queue) +
        "')) FROM generate_series(1, " + std::to_string(kJobs) + ")");
  const auto ended = [&] { return std::stoi(where("status IN ('succeeded', 'failed')")); };
  for (int part = 1; part <= 3; ++part) {
    ASSERT_TRUE(eventually([&] { return ended() >= part * kJobs / 4; })) << family_.log();
    for (const Language language : kLanguages)
      for (const pid_t task : task_processes(language)) send_signal(task, SIGKILL);
  }
  EXPECT_TRUE(all_end()) << family_.log();
  EXPECT_EQ(sql("SELECT count(*) FROM postpone_attempts"), std::to_string(2 * kJobs));
  EXPECT_EQ(where("status = 'failed'"),
            sql("SELECT count(*) FROM postpone_attempts WHERE cause = 'signalled'"));
  EXPECT_LE(std::stoi(where("status = 'failed'")), 3 * 4) << "a kill costs the job that runs";
}

}  // namespace
}  // namespace postpone::tests
