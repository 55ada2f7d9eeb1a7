#include "subworker/worker/reconnecting.h"

#include <gtest/gtest.h>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

TEST(Reconnecting, IsQuickForAFewAndRareForMany) {
  EXPECT_EQ(longest_reconnect_wait(1), 400ms);
  EXPECT_EQ(longest_reconnect_wait(40), 400ms);
  EXPECT_EQ(longest_reconnect_wait(200), 2s);
  EXPECT_EQ(longest_reconnect_wait(100'000), 4s) << "none sleeps for minutes";
}

TEST(Reconnecting, AloneGoesAtOnceWhenRung) {
  EXPECT_EQ(wait_after_ring(1, 0), 0ms);
  EXPECT_LE(wait_after_ring(1, 0.999), 2ms);
}

TEST(Reconnecting, ManySpreadOutWhenRungButNoneLeavesASecond) {
  EXPECT_EQ(wait_after_ring(100, 0), 0ms);
  EXPECT_EQ(wait_after_ring(100, 0.5), 100ms);
  EXPECT_EQ(wait_after_ring(1000, 0.5), 200ms);
}

}  // namespace
}  // namespace postpone::subworker
