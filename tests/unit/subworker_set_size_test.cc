#include "subworker/worker/set_size.h"

#include <gtest/gtest.h>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

// Fetches and runs sets of jobs that take so long, if there are always enough.
void run_sets(SetSize& size, int sets, std::chrono::nanoseconds time, const std::string& task = "t") {
  for (int i = 0; i < sets; ++i) {
    const int jobs = size.next();
    size.fetched(jobs);
    for (int job = 0; job < jobs; ++job) size.took(task, time);
  }
}

TEST(SetSize, BeginsWithOneJobAndGrowsWithShortOnes) {
  SetSize size(32, 50ms);
  EXPECT_EQ(size.next(), 1);
  run_sets(size, 1, 10us);
  EXPECT_EQ(size.next(), 2);
  run_sets(size, 1, 10us);
  EXPECT_EQ(size.next(), 4);
  run_sets(size, 10, 10us);
  EXPECT_EQ(size.next(), 32);
}

TEST(SetSize, IsNeverMoreThanFitsIntoHalfOfTheHorizon) {
  SetSize size(32, 50ms);
  run_sets(size, 100, 5ms);
  EXPECT_EQ(size.next(), 5);
  run_sets(size, 100, 24ms);
  EXPECT_EQ(size.next(), 1);
  run_sets(size, 200, 50ms);
  EXPECT_EQ(size.next(), 1) << "right at the horizon";
}

TEST(SetSize, OfOneIsAlwaysOne) {
  SetSize size(1, 50ms);
  run_sets(size, 10, 1us);
  EXPECT_EQ(size.next(), 1);
}

TEST(SetSize, FollowsJobsThatBecomeSlow) {
  SetSize size(32, 50ms);
  run_sets(size, 20, 10us);
  run_sets(size, 2, 40ms);
  EXPECT_EQ(size.next(), 1);
}

TEST(SetSize, IsNotRuledByOneSlowJobAmongManyQuickOnes) {
  SetSize size(32, 50ms);
  run_sets(size, 20, 10us);
  size.took("slow", 20ms);
  EXPECT_EQ(size.next(), 32) << "it was interrupted, perhaps";
}

TEST(SetSize, IsRuledByATaskThatIsSlowForOneJobOfTwenty) {
  SetSize size(128, 50ms);
  run_sets(size, 20, 10us);
  for (int i = 0; i < 600; ++i) size.took(i % 20 == 10 ? "slow" : "t", i % 20 == 10 ? 40ms : 20us);
  EXPECT_LE(size.next(), 25) << "half of the horizon, at 2 ms on average";
  EXPECT_GE(size.next(), 3);
}

TEST(SetSize, ShrinksToWhatWasBegunWhenASetWasCutAndGrowsAgain) {
  SetSize size(32, 50ms);
  run_sets(size, 20, 10us);
  size.cut_to(3);
  EXPECT_EQ(size.next(), 3);
  run_sets(size, 1, 10us);
  EXPECT_EQ(size.next(), 6);
  size.cut_to(0);
  EXPECT_EQ(size.next(), 1);
}

TEST(SetSize, DoesNotGrowByAnAnswerThatHadFewerJobsThanWereAskedFor) {
  SetSize size(32, 50ms);
  run_sets(size, 3, 10us);
  EXPECT_EQ(size.next(), 8);
  size.fetched(2);
  EXPECT_EQ(size.next(), 8);
}

TEST(SetSize, KnowsTheTasksThatOutlastTheHorizon) {
  SetSize size(32, 50ms);
  EXPECT_FALSE(size.outlasts_horizon("slow")) << "nothing is known";
  run_sets(size, 3, 1s, "slow");
  EXPECT_TRUE(size.outlasts_horizon("slow"));
  EXPECT_FALSE(size.outlasts_horizon("quick"));
  run_sets(size, 20, 1ms, "slow");
  EXPECT_FALSE(size.outlasts_horizon("slow")) << "it has become quick";
}

TEST(SetSize, ExpectsOfATaskWhatItTookAndOfOthersTheMean) {
  SetSize size(32, 50ms);
  EXPECT_EQ(size.expected("t"), 0ns);
  size.took("t", 10ms);
  EXPECT_EQ(size.expected("t"), 10ms);
  EXPECT_EQ(size.expected("other"), 10ms);
}

}  // namespace
}  // namespace postpone::subworker
