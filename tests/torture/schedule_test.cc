#include "tests/torture/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/torture/load.h"

namespace postpone::torture {
namespace {

using namespace std::chrono_literals;

TEST(Schedule, ASeedGivesTheSameStepsEachTime) {
  EXPECT_EQ(schedule(7, 20s, 3), schedule(7, 20s, 3));
  EXPECT_NE(schedule(7, 20s, 3), schedule(8, 20s, 3));
}

TEST(Schedule, ALongerRunBeginsAsAShorterOne) {
  const auto shorter = schedule(7, 20s, 3);
  auto longer = schedule(7, 60s, 3);
  longer.resize(shorter.size());
  EXPECT_EQ(longer, shorter);
}

TEST(Schedule, StepsAreInTheOrderOfTimeAndWithinTheLength) {
  const auto steps = schedule(1, 20s, 3);
  EXPECT_TRUE(
      std::is_sorted(steps.begin(), steps.end(), [](const Step& a, const Step& b) { return a.at < b.at; }));
  EXPECT_LT(steps.back().at, 20s);
}

TEST(Schedule, EveryDeedIsDoneToEveryFamilyInAMinuteOrTen) {
  std::set<std::pair<Deed, int>> done;
  for (const Step& step : schedule(1, 10min, 3)) done.emplace(step.deed, step.family);
  EXPECT_EQ(done.size(), static_cast<std::size_t>(kDeeds * 3));
}

TEST(Load, ASeedGivesTheSameJobsEachTime) {
  Random one(3);
  Random two(3);
  for (int i = 0; i < 100; ++i) {
    const JobPlan plan = next_job(one);
    const JobPlan same = next_job(two);
    EXPECT_EQ(plan.task + plan.args + plan.lock, same.task + same.args + same.lock);
  }
}

}  // namespace
}  // namespace postpone::torture
