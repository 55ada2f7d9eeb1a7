#include "subworker/worker/progress_record.h"

#include <gtest/gtest.h>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

class AProgressRecord : public testing::Test {
 protected:
  AProgressRecord() {
    sql::Job job;
    job.id = 17;
    job.attempts = 1;
    record_.begins(job, now_);
  }
  // What is due now, stored.
  std::optional<std::uint64_t> stored() {
    const auto told = record_.take_due(now_);
    if (!told) return std::nullopt;
    record_.stored(now_);
    return told->progress.done;
  }

  ProgressRecord::Clock::time_point now_ = ProgressRecord::Clock::now();
  ProgressRecord record_;
};

TEST_F(AProgressRecord, CostsAShortJobNothing) {
  record_.is_told({1, 2, ""});
  now_ += 999ms;
  EXPECT_EQ(stored(), std::nullopt);
  record_.ends();
  now_ += 1s;
  EXPECT_EQ(stored(), std::nullopt) << "it went with the outcome";
}

TEST_F(AProgressRecord, IsMadeOnceASecondOfWhatIsNew) {
  record_.is_told({1, 2, ""});
  record_.is_told({2, 2, ""});
  now_ += 1s;
  EXPECT_EQ(stored(), 2U);
  now_ += 5s;
  EXPECT_EQ(stored(), std::nullopt) << "nothing is new";
  record_.is_told({3, 3, ""});
  EXPECT_EQ(stored(), 3U);
  record_.is_told({4, 4, ""});
  EXPECT_EQ(stored(), std::nullopt);
  now_ += 1s;
  EXPECT_EQ(stored(), 4U);
}

TEST_F(AProgressRecord, NamesJobAndAttempt) {
  record_.is_told({1, 2, "half"});
  now_ += 1s;
  const auto told = record_.take_due(now_);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->job_id, 17);
  EXPECT_EQ(told->attempt, 2);
  EXPECT_EQ(told->progress, (sql::Progress{1, 2, "half"}));
}

TEST_F(AProgressRecord, ThatFailsIsTriedAgainLaterWithWhatIsNewestThen) {
  record_.is_told({1, 9, ""});
  now_ += 1s;
  auto told = record_.take_due(now_);
  ASSERT_TRUE(told);
  record_.failed(*told, now_, 1);
  EXPECT_EQ(stored(), std::nullopt);
  now_ += 10s;
  told = record_.take_due(now_);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->progress.done, 1U);
  record_.is_told({2, 9, ""});  // while the database was asked
  record_.failed(*told, now_, 1);
  now_ += 10s;
  EXPECT_EQ(stored(), 2U);
}

}  // namespace
}  // namespace postpone::subworker
