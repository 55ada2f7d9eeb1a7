#include "subworker/worker/fetch_ahead.h"

#include <gtest/gtest.h>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

TEST(FetchAhead, WaitsUntilItKnowsThatOthersWait) {
  FetchAhead ahead(50ms);
  EXPECT_FALSE(ahead.is_wanted(10ms));
  ahead.answered(8ms, false);
  EXPECT_FALSE(ahead.is_wanted(10ms));
  ahead.answered(8ms, true);
  EXPECT_TRUE(ahead.is_wanted(10ms));
}

TEST(FetchAhead, IsNoExchangeMoreForJobsThatTakeNextToNothing) {
  FetchAhead ahead(50ms);
  ahead.answered(10ms, true);
  EXPECT_FALSE(ahead.is_wanted(900us));
  EXPECT_TRUE(ahead.is_wanted(1ms));
}

TEST(FetchAhead, AsksEarlyEnoughForTheAnswerToComeInTime) {
  FetchAhead ahead(50ms);
  ahead.answered(8ms, true);
  EXPECT_EQ(ahead.lead(), 10ms);
}

TEST(FetchAhead, LeavesHalfOfTheHorizonToWhatItFetches) {
  FetchAhead ahead(50ms);
  ahead.answered(300ms, true);
  EXPECT_EQ(ahead.lead(), 25ms);
}

TEST(FetchAhead, IsNotLedAstrayByOneSlowExchange) {
  FetchAhead ahead(50ms);
  ahead.answered(8ms, true);
  ahead.answered(18ms, true);
  EXPECT_EQ(ahead.lead(), 12'500us);
}

TEST(FetchAhead, RestsAfterAFailureUntilTheDatabaseHasAnswered) {
  FetchAhead ahead(50ms);
  ahead.answered(8ms, true);
  ahead.failed();
  EXPECT_FALSE(ahead.is_wanted(10ms));
  ahead.answered(8ms, true);
  EXPECT_TRUE(ahead.is_wanted(10ms));
}

TEST(FetchAhead, IsNotRepeatedAtOnceWhenAllWentBack) {
  FetchAhead ahead(50ms);
  ahead.answered(8ms, true);
  ahead.went_back();
  ahead.answered(8ms, true);
  EXPECT_FALSE(ahead.is_wanted(10ms));
  for (int i = 0; i < 32; ++i) ahead.answered(8ms, true);
  EXPECT_TRUE(ahead.is_wanted(10ms));
}

TEST(FetchAhead, DoesNotTakeAnOutageForAnExchange) {
  FetchAhead ahead(50ms);
  ahead.answered(30s, true);
  EXPECT_TRUE(ahead.is_wanted(10ms));
}

}  // namespace
}  // namespace postpone::subworker
