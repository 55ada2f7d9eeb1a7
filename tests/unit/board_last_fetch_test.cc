// What the last fetches of a group tell the next one. Times are arguments.
#include "board/last_fetch.h"

#include <gtest/gtest.h>

#include <vector>

namespace postpone::board {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::nanoseconds kPollingInterval = 5s;
constexpr std::int64_t kNow = 1'000'000'000'000;

std::int64_t ago(std::chrono::nanoseconds time) {
  return kNow - time.count();
}

// One that ended a moment ago with this job as its last, and looked from the top before that.
LastFetch ended_with(std::int64_t job, std::chrono::nanoseconds how_long_ago = 1ms) {
  LastFetch fetch;
  fetch.at_ns = ago(how_long_ago);
  fetch.last_job = job;
  fetch.from_top_ns = ago(20ms);
  fetch.from_top_ended_ns = ago(19ms);
  fetch.from_top_took_ns = std::chrono::nanoseconds(1ms).count();
  return fetch;
}

FetchAdvice advice_of(const std::vector<LastFetch>& group, std::int64_t now_ns = kNow) {
  return advise(group, now_ns, kPollingInterval);
}
std::int64_t start_of(const std::vector<LastFetch>& group, std::int64_t now_ns = kNow) {
  const FetchAdvice advice = advice_of(group, now_ns);
  return advice.start ? advice.start->job : 0;
}

TEST(AFetch, BeginsAtTheTopWhenNothingIsKnown) {
  EXPECT_EQ(start_of({}), 0);
  EXPECT_EQ(start_of({LastFetch{}, LastFetch{}}), 0);
}

TEST(AFetch, BeginsBehindTheSiblingThatCameTheFurthest) {
  EXPECT_EQ(start_of({ended_with(300, 9ms), ended_with(200, 1ms), LastFetch{}}), 300);
}

TEST(AFetch, BeginsAtTheTopWhereTheNewestKnowsOfNothingBehindIt) {
  EXPECT_EQ(start_of({ended_with(300, 9ms), ended_with(0, 1ms)}), 0);
}

TEST(AFetch, BeginsWithinThePriorityThatIsBeingWorkedOff) {
  LastFetch low = ended_with(900, 9ms);
  low.last_priority = -1;
  const FetchAdvice advice = advice_of({low, ended_with(200)});
  ASSERT_TRUE(advice.start);
  EXPECT_EQ(advice.start->priority, 0);
  EXPECT_EQ(advice.start->job, 200);
}

// It has found jobs that were retried, and there may be more of them: they are older.
TEST(AFetch, FollowsTheOneThatLookedFromTheTop) {
  LastFetch from_top = ended_with(7, 2ms);
  from_top.from_top_ended_ns = from_top.at_ns;
  EXPECT_EQ(start_of({ended_with(300, 9ms), from_top}), 7);
  EXPECT_EQ(start_of({ended_with(300, 9ms), from_top, ended_with(50, 1ms)}), 50);
}

TEST(AFetch, LooksFromTheTopNowAndThen) {
  const std::vector<LastFetch> group{ended_with(300)};
  EXPECT_EQ(start_of(group), 300);
  EXPECT_EQ(start_of(group, kNow + std::chrono::nanoseconds(40ms).count()), 0);
}

TEST(AFetch, LooksFromTheTopTheLessOftenTheMoreItCosts) {
  LastFetch costly = ended_with(300);
  costly.from_top_ns = ago(900ms);
  costly.from_top_took_ns = std::chrono::nanoseconds(50ms).count();
  EXPECT_EQ(start_of({costly}), 300) << "twenty times 50 ms are not over";
  costly.from_top_ns = ago(1100ms);
  EXPECT_EQ(start_of({costly}), 0);
}

TEST(AFetch, LooksFromTheTopOnceInAPollingIntervalWhateverItCosts) {
  LastFetch costly = ended_with(300);
  costly.from_top_took_ns = std::chrono::nanoseconds(30s).count();
  costly.from_top_ns = ago(4s);
  EXPECT_EQ(start_of({costly}), 300);
  costly.from_top_ns = ago(6s);
  EXPECT_EQ(start_of({costly}), 0);
}

TEST(AFetch, BelievesNothingThatIsOld) {
  LastFetch old = ended_with(300, 1500ms);
  old.from_top_ns = ago(1ms);
  old.waiting_ns = old.at_ns;
  old.waiting = 9000;
  EXPECT_EQ(start_of({old}), 0);
  EXPECT_EQ(advice_of({old}).waiting, 0);
}

TEST(AFetch, KnowsWhatTheNewestCountHasLeft) {
  LastFetch counted = ended_with(300, 9ms);
  counted.waiting_ns = ago(9ms);
  counted.waiting = 4000;
  LastFetch took_some = ended_with(428);
  took_some.waiting_ns = ago(1ms);
  took_some.waiting = 3872;
  EXPECT_EQ(advice_of({counted, took_some, ended_with(500, 500us)}).waiting, 3872);
}

TEST(AFetch, DoesNotCountWhileASiblingDoes) {
  LastFetch counts = ended_with(300, 1ms);
  counts.counting_ns = ago(1ms);
  LastFetch knows = ended_with(300, 5ms);
  knows.waiting_ns = ago(5ms);
  knows.waiting = 10;
  EXPECT_TRUE(advice_of({knows, counts}).is_counted);
  counts.counting_ns = ago(200ms);
  EXPECT_FALSE(advice_of({knows, counts}).is_counted) << "it has died";
}

TEST(ASharedLastFetch, IsReadAsItWasWritten) {
  SharedLastFetch shared{};
  EXPECT_EQ(shared.load().at_ns, 0);
  LastFetch written = ended_with(300);
  written.last_priority = -4;
  written.waiting = 17;
  written.waiting_ns = 5;
  written.counting_ns = 6;
  shared.store(written);
  const LastFetch read = shared.load();
  EXPECT_EQ(read.at_ns, written.at_ns);
  EXPECT_EQ(read.last_job, 300);
  EXPECT_EQ(read.last_priority, -4);
  EXPECT_EQ(read.waiting, 17);
  EXPECT_EQ(read.waiting_ns, 5);
  EXPECT_EQ(read.counting_ns, 6);
  EXPECT_EQ(read.from_top_ns, written.from_top_ns);
  EXPECT_EQ(read.from_top_ended_ns, written.from_top_ended_ns);
  EXPECT_EQ(read.from_top_took_ns, written.from_top_took_ns);
  shared.store({});
  EXPECT_EQ(shared.load().last_job, 0);
}

}  // namespace
}  // namespace postpone::board
