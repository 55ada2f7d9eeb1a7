// What the last fetches of a group tell the next one. Times are arguments.
#include "board/last_fetch.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace postpone::board {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kNow = 1'000'000'000'000;
constexpr std::uint64_t kQueues = 7;

std::int64_t ago(std::chrono::nanoseconds time) {
  return kNow - time.count();
}

// One that ended a moment ago with this job as its last, and looked from the top before that.
LastFetch ended_with(std::int64_t job, std::chrono::nanoseconds how_long_ago = 1ms) {
  LastFetch fetch;
  fetch.queues = kQueues;
  fetch.at_ns = ago(how_long_ago);
  fetch.began_ns = ago(how_long_ago + 2ms);
  fetch.last_job = job;
  fetch.from_top_ns = ago(20ms);
  fetch.from_top_ended_ns = ago(19ms);
  return fetch;
}
// The same, and it knows what waits.
LastFetch knows_of(std::int64_t waiting, std::chrono::nanoseconds counted) {
  LastFetch fetch = ended_with(300);
  fetch.counted_ns = ago(counted);
  fetch.waiting = waiting;
  return fetch;
}

FetchAdvice advice_of(const std::vector<LastFetch>& group, std::int64_t now_ns = kNow) {
  return advise(group, kQueues, now_ns);
}
// Behind which job the next one begins; 0 = at the top.
std::int64_t start_of(const std::vector<LastFetch>& group, std::int64_t now_ns = kNow) {
  const FetchAdvice advice = advice_of(group, now_ns);
  return advice.from_top ? 0 : advice.last_job;
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
  EXPECT_EQ(advice.last_priority, 0);
  EXPECT_EQ(advice.last_job, 200);
}

// Before a reload the group may have served others.
TEST(AFetch, BelievesNothingOfOtherQueues) {
  LastFetch other = ended_with(300);
  other.queues = kQueues + 1;
  EXPECT_EQ(start_of({other}), 0);
}

// It has found jobs that were retried, and there may be more of them behind.
TEST(AFetch, FollowsTheOneThatFoundOlderJobs) {
  LastFetch found = ended_with(7, 5ms);
  found.found_older_ns = found.at_ns;
  EXPECT_EQ(start_of({ended_with(300, 9ms), found}), 7);
  EXPECT_EQ(start_of({ended_with(300, 4ms), found}), 7) << "that one had begun before";
  EXPECT_EQ(start_of({ended_with(300, 9ms), found, ended_with(50, 1ms)}), 50);
}

TEST(AFetch, LooksFromTheTopNowAndThen) {
  const std::vector<LastFetch> group{ended_with(300)};
  EXPECT_EQ(start_of(group), 300);
  EXPECT_EQ(start_of(group, kNow + std::chrono::nanoseconds(40ms).count()), 0);
}

TEST(AFetch, KnowsHowFarTheGroupIsThoughItLooksFromTheTop) {
  const FetchAdvice advice = advice_of({ended_with(300)}, kNow + std::chrono::nanoseconds(40ms).count());
  EXPECT_TRUE(advice.from_top);
  EXPECT_EQ(advice.last_job, 300);
}

TEST(AFetch, LooksFromTheTopTheLessOftenTheMoreItCosts) {
  LastFetch costly = ended_with(300);
  costly.from_top_ns = ago(950ms);
  costly.from_top_ended_ns = ago(900ms);
  EXPECT_EQ(start_of({costly}), 300) << "twenty times 50 ms are not over";
  costly.from_top_ns = ago(1050ms);
  costly.from_top_ended_ns = ago(1000ms);
  EXPECT_EQ(start_of({costly}), 0);
}

TEST(AFetch, LeavesTheTopToTheSiblingThatLooksThere) {
  LastFetch looks = ended_with(300);
  looks.from_top_ns = ago(800ms);
  looks.from_top_ended_ns = ago(900ms);
  EXPECT_EQ(start_of({looks}), 300);
}

// The sibling that walks for so long has written its entry when it began.
TEST(AFetch, LeavesTheTopToASiblingThatLooksThereForSeconds) {
  LastFetch looks = ended_with(300, 3s);
  looks.from_top_ns = looks.began_ns;
  looks.from_top_ended_ns = ago(9s);
  LastFetch other = ended_with(500);
  other.from_top_ns = ago(20s);
  other.from_top_ended_ns = ago(19s);
  EXPECT_EQ(start_of({looks, other}), 500);
}

TEST(AFetch, LooksFromTheTopBeforeTheLongestTimeIsOverWhateverItCosts) {
  LastFetch costly = ended_with(300);
  costly.from_top_ns = ago(4900ms);
  costly.from_top_ended_ns = ago(100ms);
  EXPECT_EQ(start_of({costly}), 300);
  costly.from_top_ns = ago(5100ms);
  EXPECT_EQ(start_of({costly}), 0);
  costly.from_top_ended_ns = ago(5200ms);
  EXPECT_EQ(start_of({costly}), 0) << "one that has died meanwhile";
}

TEST(AFetch, BelievesNothingThatIsOld) {
  LastFetch old = knows_of(9000, 1500ms);
  EXPECT_EQ(advice_of({old}).waiting, 0);
  old = ended_with(300, 1500ms);
  old.from_top_ns = ago(1ms);
  EXPECT_EQ(start_of({old}), 0);
}

TEST(AFetch, KnowsWhatOthersHaveLeftOfTheNewestCount) {
  EXPECT_EQ(advice_of({knows_of(4000, 9ms), knows_of(3872, 9ms), knows_of(10, 20ms)}).waiting, 3872);
}

TEST(AFetch, KnowsThatASiblingCounts) {
  LastFetch counts = knows_of(10, 9ms);
  EXPECT_FALSE(advice_of({counts}).is_being_counted);
  counts.counting_ns = ago(1ms);
  EXPECT_TRUE(advice_of({counts}).is_being_counted);
  counts.counting_ns = ago(200ms);
  EXPECT_FALSE(advice_of({counts}).is_being_counted) << "it has died";
}

// A task process can write anywhere on the board.
TEST(AFetch, BelievesNothingThatCannotBe) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  for (const std::int64_t wrong :
       {kMost, kLeast, kNow + std::chrono::nanoseconds(1h).count(), std::int64_t{-1}}) {
    for (auto LastFetch::*const time :
         {&LastFetch::at_ns, &LastFetch::began_ns, &LastFetch::counted_ns, &LastFetch::counting_ns,
          &LastFetch::from_top_ns, &LastFetch::from_top_ended_ns, &LastFetch::found_older_ns,
          &LastFetch::waiting}) {
      LastFetch damaged = knows_of(100, 1ms);
      damaged.last_job = 900;
      damaged.*time = wrong;
      const FetchAdvice advice = advice_of({ended_with(300), damaged});
      EXPECT_EQ(advice.last_job, 300);
      EXPECT_EQ(advice.waiting, 0);
      EXPECT_FALSE(advice.from_top);
    }
  }
}

TEST(ASharedLastFetch, IsReadAsItWasWritten) {
  SharedLastFetch shared{};
  EXPECT_EQ(shared.load().at_ns, 0);
  const LastFetch written{.at_ns = 1,
                          .began_ns = 2,
                          .queues = 3,
                          .last_job = 4,
                          .last_priority = -5,
                          .counted_ns = 6,
                          .waiting = 7,
                          .counting_ns = 8,
                          .from_top_ns = 9,
                          .from_top_ended_ns = 10,
                          .found_older_ns = 11};
  shared.store(written);
  EXPECT_EQ(shared.load(), written);
  shared.store({});
  EXPECT_EQ(shared.load(), LastFetch{});
}

}  // namespace
}  // namespace postpone::board
