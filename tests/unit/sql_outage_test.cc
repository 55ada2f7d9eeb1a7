#include "sql/outage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postpone::sql {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

class AnOutage : public testing::Test {
 protected:
  const Outage::Clock::time_point start{1h};
  Outage outage;
};

TEST_F(AnOutage, SaysEachReasonOnce) {
  EXPECT_THAT(outage.failed("refused", start), StartsWith("refused"));
  EXPECT_EQ(outage.failed("refused", start + 1s), "");
  EXPECT_THAT(outage.failed("starting up", start + 2s), StartsWith("starting up"));
  EXPECT_EQ(outage.failed("refused", start + 3s), "") << "two hosts of one url may take turns";
}

TEST_F(AnOutage, GivesAWordNowAndThenWhileItLasts) {
  outage.failed("refused", start);
  EXPECT_EQ(outage.failed("refused", start + 9s), "");
  EXPECT_THAT(outage.failed("refused", start + 10s), HasSubstr("after 10.0 s, 3 failed attempts"));
  EXPECT_EQ(outage.failed("refused", start + 29s), "");
  EXPECT_THAT(outage.failed("refused", start + 30s), HasSubstr("after 30.0 s"));
}

TEST_F(AnOutage, OfADayGivesFewWords) {
  int words = 0;
  for (auto passed = 0s; passed < 24h; ++passed) {
    const std::string reason = "attempt at " + std::to_string(passed.count());
    words += outage.failed(reason, start + passed).empty() ? 0 : 1;
  }
  EXPECT_GT(words, 24);
  EXPECT_LT(words, 200);
}

TEST_F(AnOutage, EndsOnce) {
  EXPECT_EQ(outage.ended(start), "") << "there was none";
  outage.failed("refused", start);
  EXPECT_EQ(outage.ended(start + 1500ms), "answers again, after 1.5 s, 1 failed attempt");
  EXPECT_EQ(outage.ended(start + 2s), "");
}

TEST_F(AnOutage, LikeTheOneBeforeIsSaidAnew) {
  outage.failed("refused", start);
  outage.ended(start + 1s);
  EXPECT_THAT(outage.failed("refused", start + 2s), StartsWith("refused"));
  EXPECT_THAT(outage.ended(start + 3s), HasSubstr("after 1.0 s, 1 failed attempt"));
}

}  // namespace
}  // namespace postpone::sql
