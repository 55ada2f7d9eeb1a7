#include "subworker/worker/recycle.h"

#include <gtest/gtest.h>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

constexpr TaskProcessAge kOld{.jobs_served = 1'000'000, .age = 1'000h, .rss_bytes = 1LL << 40};

TEST(Recycle, WithoutLimitsAProcessServesForever) {
  EXPECT_EQ(reason_to_recycle(kOld, config::Group{}, 0), "");
}

TEST(Recycle, FreshProcessPerJobServesOne) {
  config::Group group;
  group.fresh_process_per_job = true;
  EXPECT_EQ(reason_to_recycle({.jobs_served = 1}, group, 0), "fresh_process_per_job");
}

TEST(Recycle, ProcessThatServedItsJobsIsReplaced) {
  const config::Group group;
  EXPECT_EQ(reason_to_recycle({.jobs_served = 4}, group, 5), "");
  EXPECT_EQ(reason_to_recycle({.jobs_served = 5}, group, 5), "max_jobs: served 5");
}

TEST(Recycle, ProcessThatGrewTooLargeIsReplaced) {
  config::Group group;
  group.max_rss = 1000;
  EXPECT_EQ(reason_to_recycle({.rss_bytes = 1000}, group, 0), "");
  EXPECT_EQ(reason_to_recycle({.rss_bytes = 1001}, group, 0), "max_rss: 1001 bytes resident, 1000 allowed");
}

TEST(Recycle, ProcessThatIsTooOldIsReplaced) {
  config::Group group;
  group.max_age = 1min;
  EXPECT_EQ(reason_to_recycle({.age = 60s}, group, 0), "");
  EXPECT_EQ(reason_to_recycle({.age = 61s}, group, 0), "max_age: 61 s old");
}

TEST(Recycle, JitterTakesOffAtMostWhatTheGroupSays) {
  config::Group group;
  group.max_jobs = 100;
  group.max_jobs_jitter = 10;
  EXPECT_EQ(max_jobs_with_jitter(group, 0), 100);
  EXPECT_EQ(max_jobs_with_jitter(group, 0.5), 95);
  EXPECT_EQ(max_jobs_with_jitter(group, 0x1.fffffffffffffp-1), 90);
}

TEST(Recycle, JitterNeverMeansNoLimitOrNoJob) {
  config::Group group;
  group.max_jobs_jitter = 10;
  EXPECT_EQ(max_jobs_with_jitter(group, 0.5), 0);  // no max_jobs, nothing to take off from
  group.max_jobs = 3;
  EXPECT_EQ(max_jobs_with_jitter(group, 0.99), 1);
}

}  // namespace
}  // namespace postpone::subworker
