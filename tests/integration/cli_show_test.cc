// `postpone jobs show`: which worker runs a job, and why a waiting job waits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/cli_story.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// Worker 1 is ours and called kitchen/1.
class CliShow : public CliStory {
 protected:
  CliShow() { sql("SELECT postpone_register_worker('host:1', 'web1', 'kitchen/1', 4711)"); }

  std::string show(const std::string& id, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"jobs", "show", id});
    const ProgramRun result = run(std::move(more));
    EXPECT_EQ(result.exit_status, 0) << result.errors;
    return result.output;
  }
  nlohmann::json json(const std::string& id) const { return nlohmann::json::parse(show(id, {"--json"})); }
  std::string defer(const std::string& more = "") const {
    return sql("SELECT postpone_defer('wash'" + more + ")");
  }
  std::string running(const std::string& more = "") const {
    defer(more);
    return sql("SELECT id FROM postpone_fetch_jobs(NULL, 1, 1)");
  }
};

TEST_F(CliShow, ARunningJobNamesItsWorkerAndSinceWhen) {
  const std::string job = running();
  EXPECT_THAT(show(job), ContainsRegex("\n  runs under +kitchen/1 on host web1 .pid 4711., for "));
  const nlohmann::json runs = json(job)["runs"];
  EXPECT_TRUE(runs["started_at"].is_string());
  EXPECT_EQ(runs["worker"]["worker_name"], "kitchen/1");
  EXPECT_EQ(runs["worker"]["host"], "web1");
  EXPECT_THAT(json(job)["waits_for"], IsEmpty());

  sql("DELETE FROM procrastinate_workers");
  EXPECT_THAT(show(job), HasSubstr("the one that ran it is gone; `postpone stalled rescue " + job + "`"));
  EXPECT_EQ(json(job)["runs"]["worker"], nullptr);
}

TEST_F(CliShow, AWaitingJobNamesTheHolderOfItsLock) {
  const std::string holder = running(", lock => 'sink'");
  const std::string next = defer(", lock => 'sink', queue => 'elsewhere'");
  const std::string last = defer(", lock => 'sink'");
  EXPECT_THAT(show(next),
              ContainsRegex("\n  waits +behind job " + holder +
                            " of lock sink, which runs under kitchen/1 on host web1 for [^,]*\n"));
  EXPECT_THAT(show(last), HasSubstr(", and 1 job of that lock before it\n"));
  const nlohmann::json waits = json(next)["waits_for"];
  ASSERT_THAT(waits, SizeIs(1));
  EXPECT_EQ(waits[0]["reason"], "lock");
  EXPECT_EQ(waits[0]["job_id"].dump(), holder);
  EXPECT_EQ(json(next)["runs"], nullptr);
}

TEST_F(CliShow, AFreeLockIsWaitedForBehindTheFirstInOrder) {
  const std::string late = defer(", lock => 'sink'");
  const std::string first = defer(", lock => 'sink', priority => 5, scheduled_at => '2100-01-01'");
  const nlohmann::json waits = json(late)["waits_for"].at(0);
  EXPECT_EQ(waits["job_id"].dump(), first);
  EXPECT_THAT(waits["text"].get<std::string>(), HasSubstr("waits itself in queue default, for a later time"));
  EXPECT_EQ(json(first)["waits_for"].at(0)["reason"], "scheduled") << "nobody comes before it";
}

TEST_F(CliShow, AScheduledJobTellsHowLongStill) {
  const std::string job = defer(", scheduled_at => now() + interval '3 minutes'");
  EXPECT_THAT(show(job), ContainsRegex("\n  waits +scheduled in [23] min [0-9]+ s\n"));
  EXPECT_NEAR(json(job)["waits_for"].at(0)["due_in_s"].get<double>(), 170, 20);
}

TEST_F(CliShow, WhoServesAQueueOnlyAConfigurationTells) {
  const std::string job = defer(", queue => 'mail', queueing_lock => 'once'");
  EXPECT_THAT(show(job), AllOf(HasSubstr("; --config FILE names the configuration that says so"),
                               HasSubstr("once (no other job of it can wait until this one starts)")));

  const std::string file = testing::TempDir() + "cli_show_" + std::to_string(getpid()) + ".toml";
  const auto served = [&](const std::string& queue) {
    std::ofstream(file) << "[[group]]\nname = 'kitchen'\nexecutable = '/bin/true'\nqueues = ['" << queue
                        << "']\n";
    return show(job, {"--config", file});
  };
  EXPECT_THAT(served("dishes"), ContainsRegex("\n  waits +no group of .*toml serves queue mail\n"));
  EXPECT_THAT(served("mail"), HasSubstr("nothing: a worker is about to take it"));
  running(", priority => 9");
  EXPECT_THAT(served("mail"), HasSubstr("whose only living worker is busy"));
  sql("DELETE FROM procrastinate_workers");
  EXPECT_THAT(served("mail"), HasSubstr("of which no worker is alive"));
  std::ofstream(file) << "[[group]]\n";
  EXPECT_EQ(run({"jobs", "show", job, "--config", file}).exit_status, 3);
  std::remove(file.c_str());
}

TEST_F(CliShow, AJobThatHasEndedNeitherRunsNorWaits) {
  const std::string job = running();
  sql("SELECT procrastinate_finish_job_v1(" + job + ", 'succeeded', false)");
  EXPECT_THAT(show(job), AllOf(Not(HasSubstr("runs under")), Not(HasSubstr("\n  waits"))));
  EXPECT_EQ(json(job)["runs"], nullptr);
  EXPECT_THAT(json(job)["waits_for"], IsEmpty());
}

}  // namespace
}  // namespace postpone::tests
