#include "board/last_fetch.h"

#include <algorithm>
#include <chrono>
#include <vector>

namespace postpone::board {
namespace {

using std::chrono::nanoseconds;
using namespace std::chrono_literals;

// What was found longer ago says nothing of the backlog of now.
constexpr nanoseconds kStale = 1s;
// Looks from the top take no more than a twentieth of the time, come after kShortest at the earliest, and after kLongest at
// the latest.
constexpr std::int64_t kShareOfTime = 20;
constexpr nanoseconds kShortest = 50ms;
constexpr nanoseconds kLongest = 5s;
// One that counts for longer has died, or its server is in trouble.
constexpr nanoseconds kLongestCount = 50ms;
// No fetch of a group counts more.
constexpr std::int64_t kMostCounted = 10'000'000;

// Siblings may have looked at the clock a moment after us.
bool is_past(std::int64_t time_ns, std::int64_t now_ns) {
  return time_ns >= 0 && time_ns - kStale.count() <= now_ns;
}

// Could a sub-worker of ours have written this?
bool is_sound(const LastFetch& fetch, std::int64_t now_ns) {
  return is_past(fetch.at_ns, now_ns) && is_past(fetch.began_ns, now_ns) &&
         is_past(fetch.counted_ns, now_ns) && is_past(fetch.counting_ns, now_ns) &&
         is_past(fetch.from_top_ns, now_ns) && is_past(fetch.from_top_ended_ns, now_ns) &&
         is_past(fetch.found_older_ns, now_ns) && fetch.waiting >= 0 && fetch.waiting <= kMostCounted;
}

// Is it time to look from the top again?
bool is_time_for_the_top(const LastFetch& last_look, std::int64_t now_ns) {
  const std::int64_t since_ns = now_ns - last_look.from_top_ns;
  const std::int64_t took_ns = last_look.from_top_ended_ns - last_look.from_top_ns;
  const bool goes_on = took_ns < 0;
  if (since_ns >= kLongest.count()) return true;
  return !goes_on && since_ns >= kShortest.count() &&
         since_ns >= kShareOfTime * std::min(took_ns, kLongest.count());
}

}  // namespace

void SharedLastFetch::store(const LastFetch& fetch) noexcept {
  at_ns_.store(0);
  began_ns_.store(fetch.began_ns);
  queues_.store(fetch.queues);
  last_job_.store(fetch.last_job);
  last_priority_.store(fetch.last_priority);
  counted_ns_.store(fetch.counted_ns);
  waiting_.store(fetch.waiting);
  counting_ns_.store(fetch.counting_ns);
  from_top_ns_.store(fetch.from_top_ns);
  from_top_ended_ns_.store(fetch.from_top_ended_ns);
  found_older_ns_.store(fetch.found_older_ns);
  at_ns_.store(fetch.at_ns);
}

LastFetch SharedLastFetch::load() const noexcept {
  LastFetch fetch;
  fetch.at_ns = at_ns_.load();
  fetch.began_ns = began_ns_.load();
  fetch.queues = queues_.load();
  fetch.last_job = last_job_.load();
  fetch.last_priority = last_priority_.load();
  fetch.counted_ns = counted_ns_.load();
  fetch.waiting = waiting_.load();
  fetch.counting_ns = counting_ns_.load();
  fetch.from_top_ns = from_top_ns_.load();
  fetch.from_top_ended_ns = from_top_ended_ns_.load();
  fetch.found_older_ns = found_older_ns_.load();
  return at_ns_.load() == fetch.at_ns && fetch.at_ns != 0 ? fetch : LastFetch{};
}

FetchAdvice advise(std::span<const LastFetch> group, std::uint64_t queues, std::int64_t now_ns) {
  std::vector<LastFetch> known, fresh;
  for (const LastFetch& fetch : group) {
    if (fetch.at_ns == 0 || fetch.queues != queues || !is_sound(fetch, now_ns)) continue;
    known.push_back(fetch);
    if (now_ns - fetch.at_ns <= kStale.count()) fresh.push_back(fetch);
  }
  FetchAdvice advice;
  if (fresh.empty()) return advice;

  // The newest count, as the last one that took from it has left it.
  for (const LastFetch& fetch : fresh) {
    const bool is_good = now_ns - fetch.counted_ns <= kStale.count();
    const bool is_newer = fetch.counted_ns > advice.counted_ns;
    if (is_good && (is_newer || (fetch.counted_ns == advice.counted_ns && fetch.waiting < advice.waiting))) {
      advice.counted_ns = fetch.counted_ns;
      advice.waiting = fetch.waiting;
    }
    advice.is_being_counted |= fetch.counting_ns != 0 && now_ns - fetch.counting_ns < kLongestCount.count();
  }

  // Where a look from the top has found older jobs, there may be more of them behind: then only that fetch, and those that
  // began after it, say how far the group is.
  const std::int64_t since_ns =
      std::ranges::max_element(known, {}, &LastFetch::found_older_ns)->found_older_ns;
  std::erase_if(fresh, [since_ns](const LastFetch& fetch) {
    return fetch.began_ns < since_ns && fetch.found_older_ns != since_ns;
  });
  if (fresh.empty()) return advice;
  const LastFetch& newest = *std::ranges::max_element(fresh, {}, &LastFetch::at_ns);
  const LastFetch& last_look = *std::ranges::max_element(known, {}, &LastFetch::from_top_ns);
  advice.from_top = newest.last_job == 0 || is_time_for_the_top(last_look, now_ns);
  advice.last_priority = newest.last_priority;
  for (const LastFetch& fetch : fresh) {
    if (fetch.last_priority == newest.last_priority)
      advice.last_job = std::max(advice.last_job, fetch.last_job);
  }
  return advice;
}

}  // namespace postpone::board
