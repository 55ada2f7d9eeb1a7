// What a fetch has found of a backlog, for the next fetch of its group: behind which job that may begin, and that it need
// not count what waits.
//
// A fetch walks through the jobs that wait, in the order in which they are to run. In front are those that siblings have
// claimed, and what jobs that ended have left in the index. With ten sub-workers a walk from the top meets a thousand
// of these for a set of a hundred, and millions while an old snapshot is held open somewhere. So, while more waits than a
// fetch takes, the next one begins where the last one of the group ended. It does not see then what has come to wait in front
// of that place: jobs that were retried or released, or became due. For those, one fetch of the group looks from the top
// now and then: the more often, the less that costs, and once in five seconds at least. (A fetch looks from the top by itself
// when its transaction frees a lock or sends jobs back, and when its sub-worker had nothing to do before.)
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

namespace postpone::board {

// By now_ns(). A time that is 0 never was. Written when a fetch begins, so that a sibling that fetches at the same time begins
// behind what this one will probably take, and when it has ended.
struct LastFetch {
  std::int64_t at_ns = 0;              // when it was written
  std::int64_t began_ns = 0;           // when the fetch began
  std::uint64_t queues = 0;            // what it fetches from, as a number: others have another order
  std::int64_t last_job = 0;           // the last that it took; 0 = nothing is known to wait behind it
  std::int32_t last_priority = 0;      // of that job
  std::int64_t counted_ns = 0;         // when what waits was counted, by a fetch of the group
  std::int64_t waiting = 0;            // about so many of what was counted are left
  std::int64_t counting_ns = 0;        // since when it counts; 0 = it does not
  std::int64_t from_top_ns = 0;        // when it last began to look from the top
  std::int64_t from_top_ended_ns = 0;  // when that ended
  std::int64_t found_older_ns = 0;     // when one ended that filled its set in front of where the group was

  bool operator==(const LastFetch&) const = default;
};

// The same on the board, in the slot of the sub-worker, which alone writes it. A reader gets what was written at a time, or
// nothing of it.
class SharedLastFetch {
 public:
  void store(const LastFetch& fetch) noexcept;
  LastFetch load() const noexcept;

 private:
  std::atomic<std::int64_t> at_ns_;  // written last, and 0 while the others are
  std::atomic<std::int64_t> began_ns_;
  std::atomic<std::uint64_t> queues_;
  std::atomic<std::int64_t> last_job_;
  std::atomic<std::int32_t> last_priority_;
  std::atomic<std::int64_t> counted_ns_;
  std::atomic<std::int64_t> waiting_;
  std::atomic<std::int64_t> counting_ns_;
  std::atomic<std::int64_t> from_top_ns_;
  std::atomic<std::int64_t> from_top_ended_ns_;
  std::atomic<std::int64_t> found_older_ns_;
};

// How the next fetch is to look.
struct FetchAdvice {
  std::int64_t last_job = 0;  // how far the group came; 0 = nothing is known
  std::int32_t last_priority = 0;
  bool from_top = true;  // it is to look from the top all the same
  std::int64_t counted_ns = 0;
  std::int64_t waiting = 0;       // about so many are known to wait
  bool is_being_counted = false;  // a sibling is about to know better
};

// By the last fetches of the group's sub-workers, of which those are left out that cannot be (a task may have written over the
// board) or are of other queues.
FetchAdvice advise(std::span<const LastFetch> group, std::uint64_t queues, std::int64_t now_ns);

}  // namespace postpone::board
