#include "cli/jobs/why_waiting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postpone::cli {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

constexpr sql::Seconds kSilentFor{30};

sql::Lease worker_called(const std::string& name, sql::Seconds silent_for = 1s) {
  sql::Lease lease;
  lease.id = 7;
  lease.name = name;
  lease.host = "web1";
  lease.pid = 4711;
  lease.silent_for = silent_for;
  return lease;
}

sql::Lease foreign_worker() {
  sql::Lease lease;
  lease.id = 8;
  lease.foreign = true;
  return lease;
}

sql::DoingJob run_of(sql::JobId id, std::optional<sql::Lease> lease) {
  sql::DoingJob run;
  run.job_id = id;
  run.running_for = 3.2s;
  run.lease = std::move(lease);
  return run;
}

sql::WorkerState idle(const std::string& name, sql::Seconds silent_for = 1s) {
  return {worker_called(name, silent_for), {}};
}
sql::WorkerState busy(const std::string& name) {
  return {worker_called(name), {run_of(1, worker_called(name))}};
}

KnownGroups groups_for(std::vector<std::pair<std::string, std::string>> queues) {
  KnownGroups known{"my.toml", {}};
  for (auto& [name, queue] : queues) {
    config::Group group;
    group.name = name;
    group.queues = {queue};
    known.config.groups.push_back(std::move(group));
  }
  return known;
}

class WhyWaitingTexts : public testing::Test {
 protected:
  WhyWaitingTexts() {
    job.id = 20;
    job.queue = "mail";
    job.lock = "sink";
    standing.status = sql::JobStatus::todo;
  }
  std::vector<std::string> texts() const {
    std::vector<std::string> texts;
    for (const WhyWaiting& reason : why_waiting(job, standing, workers, groups, kSilentFor))
      texts.push_back(std::string(to_string(reason.reason)) + ": " + reason.text);
    return texts;
  }

  sql::Job job;
  sql::Standing standing;
  std::vector<sql::WorkerState> workers = {idle("kitchen/1")};
  std::optional<KnownGroups> groups;
};

TEST_F(WhyWaitingTexts, NameTheJobThatHoldsTheLock) {
  standing.holder = run_of(17, worker_called("kitchen/1"));
  EXPECT_THAT(texts(),
              ElementsAre("lock: behind job 17 of lock sink, which runs under kitchen/1 on host web1 "
                          "for 3.2 s"));
  standing.ahead_in_lock = 2;
  EXPECT_THAT(texts(), ElementsAre(EndsWith("for 3.2 s, and 2 jobs of that lock before it")));
  standing.holder = run_of(17, foreign_worker());
  EXPECT_THAT(texts(), ElementsAre(HasSubstr("under worker 8 (foreign) for")));
  standing.holder = run_of(17, std::nullopt);
  EXPECT_THAT(texts(), ElementsAre(HasSubstr("under a worker that is gone for")));
}

TEST_F(WhyWaitingTexts, NameTheFirstThatWhyWaitingAFreeLock) {
  standing.ahead = sql::Ahead{16, "oven", std::nullopt};
  standing.ahead_in_lock = 1;
  EXPECT_THAT(texts(), ElementsAre("lock: behind job 16 of lock sink, which waits itself in queue oven"));
  standing.ahead->scheduled_at = sql::SystemTime{};
  standing.ahead_in_lock = 2;
  EXPECT_THAT(texts(), ElementsAre(EndsWith("for a later time, and 1 job of that lock before it")));
}

TEST_F(WhyWaitingTexts, TellWhenAJobIsDueAndWhatElseIsInItsWay) {
  standing.due_in = 180s;
  standing.holder = run_of(17, worker_called("kitchen/1"));
  EXPECT_THAT(texts(), ElementsAre("scheduled: scheduled in 3 min 00 s", HasSubstr("lock: behind job 17")));
}

TEST_F(WhyWaitingTexts, TellOfAJobThatIsScheduledForNever) {
  standing.due_in = sql::Seconds(std::numeric_limits<double>::infinity());
  EXPECT_THAT(texts(), ElementsAre(testing::StartsWith("scheduled: scheduled at infinity: ")));
}

TEST_F(WhyWaitingTexts, AdmitWhatOnlyAConfigurationKnows) {
  EXPECT_THAT(texts(),
              ElementsAre("unknown: for a worker that serves queue mail: the database does not know which "
                          "queues the 1 living worker serves; --config FILE names the configuration that "
                          "says so"));
}

TEST_F(WhyWaitingTexts, TellWhenNobodyIsAlive) {
  workers = {idle("kitchen/1", 31s)};
  EXPECT_THAT(texts(), ElementsAre(HasSubstr("no_worker: no worker of this database is alive")));
  workers.clear();
  EXPECT_THAT(texts(), ElementsAre(HasSubstr("no_worker: no worker works on this database")));
}

TEST_F(WhyWaitingTexts, TellWhenNoGroupServesTheQueue) {
  groups = groups_for({{"kitchen", "dishes"}});
  EXPECT_THAT(texts(), ElementsAre("no_worker: no group of my.toml serves queue mail"));
}

TEST_F(WhyWaitingTexts, TellWhenNoWorkerOfTheGroupsIsAliveOrIdle) {
  groups = groups_for({{"kitchen", "dishes"}, {"post", "mail"}});
  EXPECT_THAT(texts(),
              ElementsAre("no_worker: queue mail is served by group post of my.toml, of which no worker is "
                          "alive: is postpone-supervisor running?"));
  workers = {idle("kitchen/1"), busy("post/1"), busy("post/2"), idle("post/3", 31s)};
  EXPECT_THAT(texts(),
              ElementsAre("busy: queue mail is served by group post of my.toml, whose 2 living workers are "
                          "all busy"));
  workers.push_back(idle("post/4"));
  EXPECT_THAT(
      texts(),
      ElementsAre(
          "ready: nothing: a worker is about to take it, unless its task has a concurrency limit that is "
          "reached"));
}

TEST_F(WhyWaitingTexts, CountTheJobsOfTheQueueThatComeFirst) {
  groups = groups_for({{"post", "mail"}});
  workers = {busy("post/1")};
  standing.ahead_in_queue = 12;
  EXPECT_THAT(texts(),
              ElementsAre(HasSubstr("busy: "), "queue: behind 12 jobs of queue mail that are due, too"));
  standing.ahead_in_queue = sql::Standing::kMany;
  EXPECT_THAT(texts(), ElementsAre(HasSubstr("busy: "), HasSubstr("behind more than 10000 jobs of")));
}

TEST_F(WhyWaitingTexts, LetNoNameReachTheTerminalAsItIs) {
  job.lock = "\x1b[2J";
  job.queue = "\x1b[3J";
  standing.holder = run_of(17, worker_called("kitchen/\x1b[4J"));
  groups = groups_for({});
  for (const std::string& text : texts()) EXPECT_EQ(text.find('\x1b'), std::string::npos) << text;
}

TEST(WhoRunsIt, IsNamedWithItsHostAndSigns) {
  EXPECT_EQ(who_runs_it(run_of(17, worker_called("kitchen/1")), kSilentFor),
            "kitchen/1 on host web1 (pid 4711), for 3.2 s");
  EXPECT_EQ(who_runs_it(run_of(17, foreign_worker()), kSilentFor), "worker 8 (foreign), for 3.2 s");
  EXPECT_THAT(who_runs_it(run_of(17, worker_called("kitchen/1", 90s)), kSilentFor),
              EndsWith("; not heard of for 1 min 30 s: `postpone stalled rescue 17` lets it wait again"));
  EXPECT_THAT(who_runs_it(run_of(17, std::nullopt), kSilentFor),
              HasSubstr("no worker: the one that ran it is gone; "));
}

}  // namespace
}  // namespace postpone::cli
