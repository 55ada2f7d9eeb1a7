// Sets: a sub-worker that has fetched several jobs at once keeps none of them from others, and loses none.
#include <csignal>
#include <regex>
#include <string>

#include "tests/faults/faults.h"
#include "tests/faults/outage_story.h"
#include "tests/support/language.h"
#include "tests/support/signals.h"
#include "tests/support/tcp_proxy.h"

namespace postpone::tests {
namespace {

using testing::HasSubstr;
using testing::Not;

class Sets : public Faults, public testing::WithParamInterface<Language> {
 protected:
  static std::string test_tasks() { return test_tasks_in(GetParam()); }
  // Until each of these sub-workers takes several jobs at once.
  void warm_up(const Family& family, int sub_workers) const {
    sql("SELECT count(postpone_defer('test.tick', queue => 'q')) FROM generate_series(1, 300 * " +
        std::to_string(sub_workers) + ")");
    EXPECT_TRUE(eventually([&] { return count("status <> 'succeeded'") == "0"; })) << family.log();
    sql("DELETE FROM procrastinate_jobs");
  }
  // Three short jobs, one that runs until the file "go" is there, and three more, of one lock each.
  void defer_one_long_among_short_ones() const {
    sql("SELECT count(postpone_defer(CASE n WHEN 4 THEN 'test.until' ELSE 'test.tick' END, "
        "CASE n WHEN 4 THEN '" +
        file_argument("go") +
        "'::jsonb ELSE '{}' END, 'q', lock => 'l' || n)) FROM generate_series(1, 7) AS n");
  }
  std::string count(const std::string& condition) const {
    return sql("SELECT count(*) FROM procrastinate_jobs WHERE queue_name = 'q' AND " + condition);
  }
  // The jobs that have written "hello", as the log has them.
  static std::string jobs_that_wrote(const std::string& log) {
    static const std::regex kLine(R"(job (\d+) \S+ stdout: hello)");
    std::string jobs;
    for (std::sregex_iterator line(log.begin(), log.end(), kLine), end; line != end; ++line)
      jobs += (jobs.empty() ? "" : " ") + (*line)[1].str();
    return jobs;
  }
  // Attempts of all jobs, by their causes.
  std::string all_causes() const {
    return sql(
        "SELECT string_agg(n || ' ' || cause, ', ' ORDER BY cause) FROM (SELECT cause::text, count(*) "
        "AS n FROM postpone_attempts JOIN procrastinate_jobs ON id = job_id WHERE queue_name = 'q' "
        "GROUP BY cause) AS counted");
  }
};

constexpr const char* kPatient = "prefetch_horizon = \"1h\"";
// Short jobs are done by then, however busy the machine is.
constexpr const char* kASecond = "prefetch_horizon = \"1s\"";

INSTANTIATE_TEST_SUITE_P(, Sets, testing::ValuesIn(kLanguages));

TEST_P(Sets, WhatHasNotBegunByTheHorizonGoesBackWhileTheJobBeforeStillRuns) {
  Family family(database_.url(), supervisor_keys() + group("q", test_tasks(), 1, kASecond));
  family.wait_until_ready(1);
  warm_up(family, 1);
  defer_one_long_among_short_ones();
  EXPECT_TRUE(eventually([&] {
    return count("status = 'succeeded'") == "3" && count("status = 'todo'") == "3";
  })) << family.log();
  EXPECT_EQ(count("status = 'doing'"), "1") << "the long one alone";
  EXPECT_EQ(count("status = 'todo' AND attempts = 0 AND worker_id IS NULL"), "3");
  const std::string locks = "SELECT count(*) FROM procrastinate_events WHERE type = 'deferred_for_retry'";
  EXPECT_EQ(sql(locks), "3") << "they were fetched with it\n" << family.log();
  touch("go");
  EXPECT_TRUE(eventually([&] { return count("status = 'succeeded'") == "7"; })) << family.log();
  EXPECT_EQ(all_causes(), "7 succeeded") << "nobody lost an attempt";
}

TEST_P(Sets, AKilledSubWorkerLosesTheRunningJobAloneAndWhatHasEndedIsRecorded) {
  Family family(database_.url(), supervisor_keys() + group("q", test_tasks(), 1, kPatient));
  family.wait_until_ready(1);
  warm_up(family, 1);
  defer_one_long_among_short_ones();
  const pid_t runner = runner_once_it_runs(family, "test.until");
  EXPECT_EQ(count("status = 'doing'"), "7") << "it keeps them all";
  send_signal(runner, SIGKILL);
  touch("go");
  EXPECT_TRUE(eventually([&] { return count("status = 'succeeded'") == "7"; })) << family.log();
  EXPECT_EQ(all_causes(), "7 succeeded, 1 worker_lost");
}

TEST_P(Sets, ACrashOfTheTaskCostsItsJobAlone) {
  Family family(database_.url(), supervisor_keys() + group("q", test_tasks(), 1, kPatient));
  family.wait_until_ready(1);
  warm_up(family, 1);
  defer_one_long_among_short_ones();
  runner_once_it_runs(family, "test.until");
  for (const pid_t task : family.processes(process_title(test_tasks()))) send_signal(task, SIGKILL);
  EXPECT_TRUE(eventually([&] { return count("status IN ('succeeded', 'failed')") == "7"; })) << family.log();
  EXPECT_EQ(all_causes(), "1 signalled, 6 succeeded");
}

TEST_P(Sets, TheNextJobsAreFetchedWhileTheLastOneRuns) {
  Family family(database_.url(),
                supervisor_keys() + group("q", test_tasks(), 1, std::string(kPatient) + "\nprefetch = 2"));
  family.wait_until_ready(1);
  const auto defer = [&](const std::string& file, int jobs) {
    sql("SELECT count(postpone_defer('test.until', '" + file_argument(file) +
        "', 'q')) FROM generate_series(1, " + std::to_string(jobs) + ")");
  };
  const auto claims = [&] { return sql("SELECT count(*) FROM postpone_claims"); };
  warm_up(family, 1);
  // How long jobs of this task take, the sub-worker learns from the first.
  defer("first", 1);
  EXPECT_TRUE(eventually([&] { return claims() == "1"; })) << family.log();
  touch("first");
  EXPECT_TRUE(eventually([&] { return count("status = 'succeeded'") == "1"; })) << family.log();
  sql("BEGIN; SELECT postpone_defer('test.until', '" + file_argument("second") +
      "', 'q'); SELECT count(postpone_defer('test.until', '" + file_argument("go") +
      "', 'q')) FROM generate_series(1, 3); COMMIT");
  EXPECT_TRUE(eventually([&] { return claims() == "2"; })) << family.log();
  touch("second");
  EXPECT_TRUE(eventually([&] { return claims() == "3"; })) << "one runs, two are ready\n" << family.log();
  EXPECT_EQ(count("status = 'succeeded'"), "2") << "what has ended is recorded by the same exchange";
  touch("go");
  EXPECT_TRUE(eventually([&] { return count("status = 'succeeded'") == "5"; })) << family.log();
  EXPECT_EQ(all_causes(), "5 succeeded");
}

TEST_P(Sets, OneAtATimeIsOneAtATime) {
  Family family(database_.url(),
                supervisor_keys() + group("q", test_tasks(), 1, std::string(kPatient) + "\nprefetch = 1"));
  family.wait_until_ready(1);
  warm_up(family, 1);
  defer_one_long_among_short_ones();
  runner_once_it_runs(family, "test.until");
  EXPECT_EQ(count("status = 'todo'"), "3");
  touch("go");
  EXPECT_TRUE(eventually([&] { return count("status = 'succeeded'") == "7"; })) << family.log();
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_events WHERE type = 'deferred_for_retry'"), "0");
}

// None of them would give anything back within the hour.
TEST_P(Sets, IdleSiblingsGetTheirShare) {
  Family family(database_.url(), supervisor_keys() + group("q", test_tasks(), 4, kPatient));
  family.wait_until_ready(4);
  warm_up(family, 4);
  sql("SELECT count(postpone_defer('test.until', '" + file_argument("go") +
      "', 'q')) FROM generate_series(1, 4)");
  EXPECT_TRUE(eventually([&] { return sql("SELECT count(DISTINCT worker_id) FROM postpone_claims") == "4"; }))
      << family.log();
  touch("go");
  EXPECT_TRUE(eventually([&] { return count("status = 'succeeded'") == "4"; })) << family.log();
}

// While the job before it runs, nobody looks whether it is to be stopped.
TEST_P(Sets, AWishToAbortAJobThatHasNotBegunIsObeyedWhenItRuns) {
  Family family(database_.url(),
                "[supervisor]\npolling_interval = \"100ms\"\n" +
                    group("q", test_tasks(), 1, std::string(kPatient) + "\nabort_grace = \"100ms\""));
  family.wait_until_ready(1);
  warm_up(family, 1);
  sql("SELECT count(postpone_defer(CASE WHEN n IN (4, 6) THEN 'test.until' ELSE 'test.tick' END, CASE n WHEN "
      "4 THEN '" +
      file_argument("go") + "'::jsonb WHEN 6 THEN '" + file_argument("never") +
      "' ELSE '{}' END, 'q', lock => 'l' || n)) FROM generate_series(1, 7) AS n");
  runner_once_it_runs(family, "test.until");
  sql("SELECT procrastinate_cancel_job_v1(id, true, false) FROM procrastinate_jobs WHERE lock = 'l6'");
  touch("go");
  EXPECT_TRUE(eventually([&] { return count("status IN ('succeeded', 'aborted')") == "7"; })) << family.log();
  EXPECT_EQ(all_causes(), "1 aborted, 6 succeeded");
}

// Each line names the job that wrote it, though they all were handed over together.
TEST_P(Sets, OutputBelongsToTheJobThatWroteIt) {
  Family family(database_.url(), supervisor_keys() + group("q", test_tasks(), 1, kPatient));
  family.wait_until_ready(1);
  warm_up(family, 1);
  sql("SELECT count(postpone_defer(CASE n % 3 WHEN 0 THEN 'test.write_both' ELSE 'test.tick' END, CASE n % 3 "
      "WHEN 0 THEN '" +
      file_argument("here") + "'::jsonb ELSE '{}' END, 'q')) FROM generate_series(1, 24) AS n");
  EXPECT_TRUE(eventually([&] { return count("status = 'succeeded'") == "24"; })) << family.log();
  const std::string writers =
      sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM procrastinate_jobs WHERE task_name = "
          "'test.write_both'");
  EXPECT_EQ(jobs_that_wrote(family.log()), writers) << family.log();
}

// Nobody rings again, and nobody polls.
TEST_P(Sets, ABurstOfManySetsIsRunToItsEnd) {
  Family family(database_.url(), supervisor_keys() + group("q", test_tasks(), 1));
  family.wait_until_ready(1);
  warm_up(family, 1);
  sql("SELECT count(postpone_defer('test.tick', queue => 'q')) FROM generate_series(1, 200)");
  EXPECT_TRUE(eventually([&] { return count("status = 'succeeded'") == "200"; })) << family.log();
}

// It would fail as superseded, if it were given back while another waits under its queueing lock.
TEST_P(Sets, AJobWithAQueueingLockIsNeverTakenBehindOthers) {
  Family family(database_.url(), supervisor_keys() + group("q", test_tasks(), 1, kPatient));
  family.wait_until_ready(1);
  warm_up(family, 1);
  sql("SELECT count(postpone_defer(CASE n WHEN 2 THEN 'test.until' ELSE 'test.tick' END, CASE n WHEN 2 THEN "
      "'" +
      file_argument("go") +
      "'::jsonb ELSE '{}' END, 'q', queueing_lock => CASE n WHEN 4 THEN 'plate' END)) FROM "
      "generate_series(1, 5) "
      "AS n");
  runner_once_it_runs(family, "test.until");
  EXPECT_EQ(sql("SELECT string_agg((SELECT 'claimed' FROM postpone_claims WHERE job_id = id), ' ') || ' ' || "
                "string_agg(status::text, ' ' ORDER BY id) FROM procrastinate_jobs WHERE queue_name = 'q'"),
            "claimed claimed claimed todo todo todo todo todo");
  touch("go");
  EXPECT_TRUE(eventually([&] { return count("status = 'succeeded'") == "5"; })) << family.log();
}

TEST_P(Sets, AnOrderedLeaveGivesBackWhatHasNotBegun) {
  Family family(database_.url(), supervisor_keys() + group("q", test_tasks(), 1, kPatient));
  family.wait_until_ready(1);
  warm_up(family, 1);
  defer_one_long_among_short_ones();
  runner_once_it_runs(family, "test.until");
  family.signal(SIGTERM);
  EXPECT_TRUE(eventually([&] { return count("status = 'todo'") == "3"; })) << "at once\n" << family.log();
  touch("go");
  EXPECT_EQ(family.wait().code, 0) << family.log();
  EXPECT_EQ(count("status = 'succeeded'"), "4");
  EXPECT_EQ(count("status = 'todo' AND attempts = 0"), "3");
}

TEST_P(Sets, AReleaseWhoseAnswerIsLostIsSentAgainAndNoJobRunsTwice) {
  TcpProxy proxy(database_.execute("SHOW unix_socket_directories"), database_.execute("SHOW port"));
  Family family(database_.url() + " host=127.0.0.1 port=" + std::to_string(proxy.port()),
                "[database]\nconnect_timeout = \"2s\"\nstatement_timeout = \"2s\"\n" + supervisor_keys() +
                    group("q", test_tasks(), 1, kASecond));
  family.wait_until_ready(1);
  warm_up(family, 1);
  proxy.swallow_answers_to(R"("action":"release")");
  defer_one_long_among_short_ones();
  ASSERT_TRUE(eventually([&] { return proxy.has_swallowed_answer(); })) << family.log();
  EXPECT_TRUE(eventually([&] { return count_of(family.log(), "no answer from the database") >= 1; }))
      << family.log();
  EXPECT_EQ(count("status = 'doing'"), "1") << "the job runs on";
  touch("go");
  EXPECT_TRUE(eventually([&] { return count("status = 'succeeded'") == "7"; })) << family.log();
  EXPECT_EQ(all_causes(), "7 succeeded");
  EXPECT_THAT(family.log(), Not(HasSubstr("outcome dropped")));
}

// The database does not answer while a set is to be given back: limits of the running job are kept all the
// same.
TEST_P(Sets, TheTimeLimitOfAJobIsKeptWhileTheDatabaseDoesNotAnswer) {
  TcpProxy proxy(database_.execute("SHOW unix_socket_directories"), database_.execute("SHOW port"));
  Family family(
      database_.url() + " host=127.0.0.1 port=" + std::to_string(proxy.port()),
      "[database]\nconnect_timeout = \"20s\"\nstatement_timeout = \"20s\"\n" + supervisor_keys() +
          group("q", test_tasks(), 1, std::string(kASecond) + "\ntime_limit = \"2s\"\nabort_grace = \"0s\""));
  family.wait_until_ready(1);
  warm_up(family, 1);
  proxy.swallow_answers_to(R"("action":"release")");
  defer_one_long_among_short_ones();
  ASSERT_TRUE(eventually([&] { return proxy.has_swallowed_answer(); })) << family.log();
  EXPECT_TRUE(eventually([&] { return family.processes(process_title(test_tasks())).empty(); }))
      << family.log();
  EXPECT_THAT(family.log(), Not(HasSubstr("no answer from the database")));
}

}  // namespace
}  // namespace postpone::tests
