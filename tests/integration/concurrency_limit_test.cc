// Tasks of which only so many jobs run at a time under one supervisor. No sub-worker polls: what runs was woken for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <string>
#include <thread>

#include "tests/support/limited_jobs.h"

namespace postpone::tests {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string kNoPolling = "[supervisor]\npolling_interval = \"1h\"\n";

class ConcurrencyLimit : public LimitedJobs {
 protected:
  static void reload(Family& family, const std::string& config) {
    family.rewrite(config);
    const std::size_t before = family.log().size();
    family.signal(SIGHUP);
    EXPECT_TRUE(eventually([&] {
      return family.log().find("config.toml is in force: ", before) != std::string::npos;
    })) << family.log();
  }
  // Long enough for a job that may begin to have begun.
  static void let_some_time_pass() { std::this_thread::sleep_for(300ms); }
};

TEST_F(ConcurrencyLimit, IsReachedAndNeverPassed) {
  Family family(database_.url(), kNoPolling + limited("q", 6, 2));
  family.wait_until_ready(6);
  defer_jobs({.count = 40, .places = 2, .ms = 15});
  EXPECT_TRUE(all_succeed()) << family.log();
  EXPECT_THAT(places(), ElementsAre(0, 1));
  EXPECT_EQ(attempts_and_jobs(), "40 of 40") << "who finds no permit loses no attempt";
  EXPECT_THAT(family.log(), HasSubstr("task limited.job: at most 2 of its jobs run at a time"));
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(ConcurrencyLimit, JobsOfOtherTasksRunMeanwhile) {
  Family family(database_.url(), kNoPolling + limited("q", 4, 2));
  family.wait_until_ready(4);
  defer_jobs({.count = 10, .places = 2, .wait = true});
  ASSERT_TRUE(have_begun(2));
  defer_others(50);
  EXPECT_TRUE(eventually([&] { return count("succeeded") == "50"; })) << family.log();
  let_some_time_pass();
  EXPECT_EQ(begun(), 2) << "whoever has nothing else to do leaves them alone";
  let_go();
  EXPECT_TRUE(all_succeed()) << family.log();
  EXPECT_THAT(places(), ElementsAre(0, 1));
  EXPECT_EQ(attempts_and_jobs(), "60 of 60");
}

// The one that gives back the permit has another job to run, so that it cannot go on by itself.
TEST_F(ConcurrencyLimit, APermitThatIsFreeWakesWhoHasLeftTheTaskAlone) {
  Family family(database_.url(), kNoPolling + limited("q", 2, 1) + limited("r", 1, 1));
  family.wait_until_ready(3);
  defer_jobs({.count = 1, .wait = true});
  ASSERT_TRUE(have_begun(1));
  defer_jobs({.count = 1, .directory = "b", .queue = "r"});
  let_some_time_pass();
  EXPECT_EQ(begun("b"), 0);
  let_go();
  EXPECT_TRUE(have_begun(1, "b")) << "of another group\n" << family.log();
  EXPECT_TRUE(all_succeed());
}

TEST_F(ConcurrencyLimit, HoldsForAllGroupsTogetherAndTheSmallestWins) {
  Family family(database_.url(), kNoPolling + limited("q", 3, 2) + limited("r", 3, 0) + limited("s", 3, 5));
  family.wait_until_ready(9);
  for (const char* queue : {"q", "r", "s"}) defer_jobs({.count = 15, .places = 2, .ms = 10, .queue = queue});
  EXPECT_TRUE(all_succeed()) << family.log();
  EXPECT_THAT(places(), ElementsAre(0, 1));
  EXPECT_THAT(
      family.log(),
      HasSubstr(
          "task limited.job has a concurrency limit of 2 in the executable of [[group]] \"q\", and none in "
          "that of \"r\": 2 of its jobs run at a time, whichever group runs them"));
}

TEST_F(ConcurrencyLimit, HoldsForJobsUnderAnAlias) {
  Family family(database_.url(), kNoPolling + limited("q", 4, 1));
  family.wait_until_ready(4);
  defer_jobs({.count = 10, .ms = 10});
  defer_jobs({.count = 10, .ms = 10, .task = "limited.old_name"});
  EXPECT_TRUE(all_succeed()) << family.log();
  EXPECT_THAT(places(), ElementsAre(0));
}

TEST_F(ConcurrencyLimit, HoldsForSets) {
  Family family(database_.url(), kNoPolling + limited("q", 4, 1));
  family.wait_until_ready(4);
  for (int i = 0; i < 5; ++i) {
    defer_jobs({.count = 100});
    defer_others(100);
  }
  EXPECT_TRUE(all_succeed()) << family.log();
  EXPECT_THAT(places(), ElementsAre(0));
  EXPECT_EQ(begun(), 500) << "each once";
  EXPECT_EQ(attempts_and_jobs(), "1000 of 1000");
}

TEST_F(ConcurrencyLimit, OneShotWorksOffAll) {
  FamilyOptions options;
  options.arguments = {"--one-shot"};
  defer_jobs({.count = 20, .ms = 5});
  defer_others(20);
  Family family(database_.url(), kNoPolling + limited("q", 4, 1), options);
  EXPECT_EQ(family.wait().code, 0);
  EXPECT_EQ(count("succeeded"), "40") << family.log();
  EXPECT_THAT(places(), ElementsAre(0));
}

TEST_F(ConcurrencyLimit, TooManyLimitsAreRefused) {
  Family family(database_.url(),
                kNoPolling + group("q", kLimitedTasks, 1, "arguments = [\"--limit=1\", \"--tasks=256\"]\n"));
  EXPECT_EQ(family.wait().code, 3);
  EXPECT_THAT(family.log(),
              HasSubstr("the task executables have 257 tasks with a concurrency limit: 256 are the most"));
}

TEST_F(ConcurrencyLimit, AsManyAsThereMayBe) {
  Family family(database_.url(),
                kNoPolling + group("q", kLimitedTasks, 2, "arguments = [\"--limit=1\", \"--tasks=255\"]\n"));
  family.wait_until_ready(2);
  sql("SELECT count(postpone_defer('limited.' || n, queue => 'q')) FROM generate_series(0, 254) AS n");
  defer_jobs({.count = 5, .ms = 2});
  EXPECT_TRUE(all_succeed()) << family.log();
  EXPECT_EQ(family.stop().code, 0);
}

// --- reload ---

TEST_F(ConcurrencyLimit, AReloadRaisesItAtOnce) {
  Family family(database_.url(), kNoPolling + limited("q", 4, 1));
  family.wait_until_ready(4);
  defer_jobs({.count = 5, .places = 3, .wait = true});
  ASSERT_TRUE(have_begun(1));
  let_some_time_pass();
  ASSERT_EQ(begun(), 1);
  reload(family, kNoPolling + limited("q", 4, 3));
  EXPECT_TRUE(have_begun(3)) << family.log();
  let_go();
  EXPECT_TRUE(all_succeed());
  EXPECT_THAT(places(), ElementsAre(0, 1, 2));
  EXPECT_THAT(family.log(), HasSubstr("task limited.job: at most 3 of its jobs run at a time"));
}

TEST_F(ConcurrencyLimit, AReloadLowersItAndWhatRunsCounts) {
  Family family(database_.url(), kNoPolling + limited("q", 6, 3));
  family.wait_until_ready(6);
  defer_jobs({.count = 3, .places = 3, .wait = true});
  ASSERT_TRUE(have_begun(3));
  reload(family, kNoPolling + limited("q", 6, 1));
  defer_jobs({.count = 10, .ms = 10, .directory = "b"});
  let_some_time_pass();
  EXPECT_EQ(begun("b"), 0) << "there are three";
  let_go();
  EXPECT_TRUE(all_succeed()) << family.log();
  EXPECT_THAT(places("b"), ElementsAre(0));
}

TEST_F(ConcurrencyLimit, AReloadSetsOneAndWhatRunsCounts) {
  Family family(database_.url(), kNoPolling + limited("q", 6, 0));
  family.wait_until_ready(6);
  defer_jobs({.count = 2, .places = 2, .wait = true});
  ASSERT_TRUE(have_begun(2));
  reload(family, kNoPolling + limited("q", 6, 1));
  defer_jobs({.count = 10, .ms = 10, .directory = "b"});
  let_some_time_pass();
  EXPECT_EQ(begun("b"), 0) << family.log();
  let_go();
  EXPECT_TRUE(all_succeed()) << family.log();
  EXPECT_THAT(places("b"), ElementsAre(0));
}

TEST_F(ConcurrencyLimit, AReloadTakesItAway) {
  Family family(database_.url(), kNoPolling + limited("q", 4, 1));
  family.wait_until_ready(4);
  defer_jobs({.count = 4, .places = 4, .wait = true});
  ASSERT_TRUE(have_begun(1));
  reload(family, kNoPolling + limited("q", 4, 0));
  EXPECT_TRUE(have_begun(4)) << family.log();
  let_go();
  EXPECT_TRUE(all_succeed());
  EXPECT_THAT(family.log(), HasSubstr("task limited.job: any number of its jobs run at a time"));
}

TEST_F(ConcurrencyLimit, AReloadThatIsRefusedChangesNothing) {
  Family family(database_.url(), kNoPolling + limited("q", 3, 1));
  family.wait_until_ready(3);
  family.rewrite(kNoPolling + limited("q", 3, 3) + group("bad", "/bin/false", 1));
  family.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return family.log().find("config.toml is not taken") != std::string::npos; }));
  defer_jobs({.count = 10, .ms = 10});
  EXPECT_TRUE(all_succeed()) << family.log();
  EXPECT_THAT(places(), ElementsAre(0));
}

}  // namespace
}  // namespace postpone::tests
