#include "sys/retry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace postpone::sys {
namespace {

using namespace std::chrono_literals;

TEST(Retrying, WaitsLongerAfterEachFailure) {
  Backoff backoff(100ms, 10s);
  std::vector<std::chrono::milliseconds> waits;
  int tries = 0;
  EXPECT_TRUE(retry(
      backoff, [&] { return ++tries < 5 ? Tried::again : Tried::done; },
      [&](std::chrono::milliseconds wait) {
        waits.push_back(wait);
        return true;
      }));
  ASSERT_EQ(waits.size(), 4u);
  std::chrono::milliseconds shortest = 50ms;
  for (const auto wait : waits) {
    EXPECT_GE(wait, shortest);
    shortest *= 2;
  }
  EXPECT_EQ(backoff.failures(), 0) << "the next trouble begins anew";
}

TEST(Retrying, EndsWhenThereIsNoPointInWaiting) {
  Backoff backoff(100ms, 10s);
  int tries = 0;
  EXPECT_FALSE(retry(
      backoff,
      [&] {
        ++tries;
        return Tried::again;
      },
      [&](std::chrono::milliseconds) { return tries < 3; }));
  EXPECT_EQ(tries, 3);
}

TEST(APause, IsOverAtOnceUnlessSomethingFailed) {
  constexpr Pause::Clock::time_point now{1h};
  Pause pause({100ms, 1s});
  EXPECT_TRUE(pause.over(now));
  pause.failed(now, 1);
  EXPECT_FALSE(pause.over(now + 99ms));
  EXPECT_TRUE(pause.over(now + 100ms));
  pause.failed(now, 1);
  EXPECT_FALSE(pause.over(now + 199ms));
  pause.succeeded();
  EXPECT_TRUE(pause.over(now));
  EXPECT_EQ(pause.failures(), 0);
}

}  // namespace
}  // namespace postpone::sys
