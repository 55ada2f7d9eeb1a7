// What a fetch has found of a backlog, for the next fetch of its group: behind which job that may begin, and that it need
// not count what waits.
//
// A fetch walks through the jobs that wait, in the order in which they are to run. In front are those that siblings have
// claimed, and what jobs that ended have left in the index. With ten sub-workers a walk from the top meets a thousand
// of these for a set of a hundred, and millions while an old snapshot is held open somewhere. So a fetch begins where the
// last one of the group ended. It does not see then what has come to wait in front of that place: jobs that were
// retried or released, or became due. For those, one fetch of the group looks from the top now and then: more often the
// less that costs, and in any case once in a polling interval.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>

namespace postpone::board {

// By now_ns(). A time that is 0 never was. All but from_top_ns are known when the fetch has ended, and are guessed when it
// begins, so that a sibling that fetches at the same time begins behind what this one will take.
struct LastFetch {
  std::int64_t at_ns = 0;              // when it ended, or began
  std::int64_t last_job = 0;           // the last that it took; 0 = nothing is known to wait behind it
  std::int32_t last_priority = 0;      // of that job
  std::int64_t waiting_ns = 0;         // when `waiting` was found out, or guessed
  std::int64_t waiting = 0;            // so many are left to siblings, at least
  std::int64_t counting_ns = 0;        // when it last began to count what waits
  std::int64_t from_top_ended_ns = 0;  // when the last one that looked from the top ended
  std::int64_t from_top_took_ns = 0;   // how long that took
  std::int64_t from_top_ns = 0;        // when one last began to look from the top
};

// The same on the board, in the slot of the sub-worker, which alone writes it. A reader gets what one fetch has found, or
// nothing of it.
class SharedLastFetch {
 public:
  void store(const LastFetch& fetch) noexcept;
  LastFetch load() const noexcept;

 private:
  std::atomic<std::int64_t> at_ns_;  // written last, and 0 while the others are
  std::atomic<std::int64_t> last_job_;
  std::atomic<std::int32_t> last_priority_;
  std::atomic<std::int64_t> waiting_ns_;
  std::atomic<std::int64_t> waiting_;
  std::atomic<std::int64_t> counting_ns_;
  std::atomic<std::int64_t> from_top_ended_ns_;
  std::atomic<std::int64_t> from_top_took_ns_;
  std::atomic<std::int64_t> from_top_ns_;
};

// How the next fetch is to look.
struct FetchAdvice {
  struct Place {
    std::int32_t priority = 0;
    std::int64_t job = 0;
  };
  std::optional<Place> start;  // behind which it may begin; nothing: from the top
  std::int64_t waiting = 0;    // so many are known to wait
  bool is_counted = false;     // a sibling is about to know better
};

// By the last fetches of the group's sub-workers. `longest`: the longest time without a look from the top.
FetchAdvice advise(std::span<const LastFetch> group, std::int64_t now_ns, std::chrono::nanoseconds longest);

}  // namespace postpone::board
