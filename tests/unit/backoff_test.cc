#include "sys/backoff.h"

#include <gtest/gtest.h>

namespace postpone::sys {
namespace {

using namespace std::chrono_literals;

constexpr double kLongest = 0x1.fffffffffffffp-1;  // the largest number below 1

TEST(Backoff, DoublesUpToTheMost) {
  Backoff backoff(100ms, 1000ms);
  EXPECT_EQ(backoff.next(kLongest), 100ms);
  EXPECT_EQ(backoff.next(kLongest), 200ms);
  EXPECT_EQ(backoff.next(kLongest), 400ms);
  EXPECT_EQ(backoff.next(kLongest), 800ms);
  EXPECT_EQ(backoff.next(kLongest), 1000ms);
  EXPECT_EQ(backoff.next(kLongest), 1000ms);
}

TEST(Backoff, ChanceShortensAWaitToItsHalfAtMost) {
  Backoff backoff(100ms, 1000ms);
  EXPECT_EQ(backoff.next(0), 50ms);
  EXPECT_EQ(backoff.next(0.5), 150ms);
}

TEST(Backoff, ResetStartsAfresh) {
  Backoff backoff(100ms, 1000ms);
  backoff.next(0);
  backoff.next(0);
  EXPECT_EQ(backoff.failures(), 2);
  backoff.reset();
  EXPECT_EQ(backoff.failures(), 0);
  EXPECT_EQ(backoff.next(kLongest), 100ms);
}

TEST(Backoff, AThousandYearsOfFailuresStayAtTheMost) {
  Backoff backoff(100ms, 30s);
  for (int i = 0; i < 100'000; ++i) backoff.next(0);
  EXPECT_EQ(backoff.next(kLongest), 30s);
}

TEST(Backoff, AFirstWaitBeyondTheMostIsCut) {
  EXPECT_EQ(Backoff(10s, 1s).next(kLongest), 1s);
}

TEST(Backoff, ChanceStaysBelowOneAndMoves) {
  const double first = chance();
  bool moved = false;
  for (int i = 0; i < 1000; ++i) {
    const double drawn = chance();
    EXPECT_GE(drawn, 0);
    EXPECT_LT(drawn, 1);
    moved = moved || drawn != first;
  }
  EXPECT_TRUE(moved);
}

}  // namespace
}  // namespace postpone::sys
