#include "board/last_fetch.h"

#include <algorithm>

namespace postpone::board {
namespace {

using std::chrono::nanoseconds;
using namespace std::chrono_literals;

// What was found longer ago says nothing of the backlog of now.
constexpr nanoseconds kStale = 1s;
// Looks from the top take no more than a twentieth of the time, and come no more often than this.
constexpr std::int64_t kShareOfTime = 20;
constexpr nanoseconds kShortest = 50ms;

}  // namespace

void SharedLastFetch::store(const LastFetch& fetch) noexcept {
  at_ns_.store(0);
  last_job_.store(fetch.last_job);
  last_priority_.store(fetch.last_priority);
  waiting_ns_.store(fetch.waiting_ns);
  waiting_.store(fetch.waiting);
  counting_ns_.store(fetch.counting_ns);
  from_top_ended_ns_.store(fetch.from_top_ended_ns);
  from_top_took_ns_.store(fetch.from_top_took_ns);
  from_top_ns_.store(fetch.from_top_ns);
  at_ns_.store(fetch.at_ns);
}

LastFetch SharedLastFetch::load() const noexcept {
  LastFetch fetch;
  fetch.at_ns = at_ns_.load();
  fetch.last_job = last_job_.load();
  fetch.last_priority = last_priority_.load();
  fetch.waiting_ns = waiting_ns_.load();
  fetch.waiting = waiting_.load();
  fetch.counting_ns = counting_ns_.load();
  fetch.from_top_ended_ns = from_top_ended_ns_.load();
  fetch.from_top_took_ns = from_top_took_ns_.load();
  fetch.from_top_ns = from_top_ns_.load();
  return at_ns_.load() == fetch.at_ns && fetch.at_ns != 0 ? fetch : LastFetch{};
}

FetchAdvice advise(std::span<const LastFetch> group, std::int64_t now_ns, nanoseconds longest) {
  FetchAdvice advice;
  if (group.empty()) return advice;
  const auto newest = [&](auto time) -> const LastFetch& {
    return *std::ranges::max_element(group, {}, time);
  };
  const LastFetch& last = newest(&LastFetch::at_ns);
  if (now_ns - last.at_ns > kStale.count()) return advice;
  const LastFetch& known = newest(&LastFetch::waiting_ns);
  advice.waiting = known.waiting;
  const std::int64_t counting_ns = newest(&LastFetch::counting_ns).counting_ns;
  advice.is_counted = counting_ns > known.counting_ns && now_ns - counting_ns < kShortest.count();

  const std::int64_t from_top_took_ns = newest(&LastFetch::from_top_ended_ns).from_top_took_ns;
  const std::int64_t pause_ns = std::min<std::int64_t>(
      std::max<std::int64_t>(kShareOfTime * from_top_took_ns, kShortest.count()), longest.count());
  if (last.last_job == 0 || now_ns - newest(&LastFetch::from_top_ns).from_top_ns >= pause_ns) return advice;
  // Of those that have ended or begun since one looked from the top, the one that came the furthest. What that one has
  // found in front of the others is for the others, too.
  const std::int64_t since_ns = newest(&LastFetch::from_top_ended_ns).from_top_ended_ns;
  advice.start = {last.last_priority, last.last_job};
  for (const LastFetch& fetch : group) {
    if (fetch.at_ns >= since_ns && fetch.last_priority == last.last_priority)
      advice.start->job = std::max(advice.start->job, fetch.last_job);
  }
  return advice;
}

}  // namespace postpone::board
