#include "subworker/passed_over.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr PassedOver::Clock::time_point kStart{1h};

TEST(JobsThatArePassedOver, AreTriedAgainAfterWaitsThatGrow) {
  PassedOver passed_over;
  EXPECT_TRUE(passed_over.add(7, kStart, 1));
  EXPECT_THAT(passed_over.list(kStart + 1s), ElementsAre(7));
  EXPECT_THAT(passed_over.list(kStart + 2s), IsEmpty());
  EXPECT_FALSE(passed_over.add(7, kStart + 2s, 1)) << "known";
  EXPECT_THAT(passed_over.list(kStart + 5s), ElementsAre(7));
  EXPECT_THAT(passed_over.list(kStart + 6s), IsEmpty());
}

TEST(JobsThatArePassedOver, AreForgottenWhenTheyFailNoMore) {
  PassedOver passed_over;
  passed_over.add(7, kStart, 1);
  EXPECT_THAT(passed_over.list(kStart + 10min), IsEmpty());
  EXPECT_TRUE(passed_over.add(7, kStart + 10min, 1)) << "worth a line again";
}

TEST(JobsThatArePassedOver, AreNeverMoreThanAFetchCanCompare) {
  PassedOver passed_over;
  for (sql::JobId id = 1; id <= 3000; ++id) passed_over.add(id, kStart, 1);
  EXPECT_THAT(passed_over.list(kStart), SizeIs(PassedOver::kMost));
}

}  // namespace
}  // namespace postpone::subworker
