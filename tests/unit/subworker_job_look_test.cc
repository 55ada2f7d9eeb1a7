#include "subworker/job_look.h"

#include <gtest/gtest.h>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

TEST(SlowSchedule, ComesOnceAndThenEachTimeTwiceAsLate) {
  SlowSchedule schedule(10s);
  EXPECT_FALSE(schedule.is_due(9s));
  EXPECT_TRUE(schedule.is_due(10s));
  EXPECT_FALSE(schedule.is_due(10s));
  EXPECT_FALSE(schedule.is_due(19s));
  EXPECT_TRUE(schedule.is_due(21s));
  EXPECT_FALSE(schedule.is_due(39s));
  EXPECT_TRUE(schedule.is_due(40s));
}

TEST(SlowSchedule, WhatWasSleptThroughDoesNotComeAgain) {
  SlowSchedule schedule(1s);
  EXPECT_TRUE(schedule.is_due(100s));
  EXPECT_FALSE(schedule.is_due(101s));
  EXPECT_FALSE(schedule.is_due(127s));
  EXPECT_TRUE(schedule.is_due(128s));
}

TEST(SlowSchedule, NeverIsNever) {
  SlowSchedule schedule(0s);
  EXPECT_FALSE(schedule.is_due(0s));
  EXPECT_FALSE(schedule.is_due(24h));
}

}  // namespace
}  // namespace postpone::subworker
