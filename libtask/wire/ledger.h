// The ledger: memory that a sub-worker and its task process share, in which the task process notes how far it
// is with a set of jobs (frame `runs`). It costs no system call, and it outlives either of them. docs/protocol.md
// is the specification; this page is its code. Standard library only.
//
//   cursor   set (31 bits) | stop (1 bit) | index (32 bits): which job of which set runs
//   entries  of each job of the set that is behind the cursor: when it ran, and what it cost
//
//   sub-worker                                 task process
//   cursor = (set, 0)
//   frame runs ─────────────────────────────▶  runs job 0; if that was plain (see below):
//                                              writes entry 0, cursor (set, 0) → (set, 1)
//                                              runs job 1 …
//   to single out the job that runs:
//   cursor (set, i) → (set, stop, i)           finds `stop` when it would move the cursor
//   ◀────────────────────────── frame result   of the job at the cursor: the set has ended there
//
// A job is plain when it has succeeded and nothing else is to be said or to be seen of it. So every job that
// the cursor has passed is a success, with the numbers of its entry and no output; and whatever else happens
// happens to the job at the cursor. The task process moves the cursor by compare-exchange, and the sub-worker
// sets *stop* in it, so that they agree on that job.
//
// A task process can write anything here. So a reader takes a cursor only when it is possible_in() the set,
// and an entry only when it is_possible().
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace libtask::wire {

// The descriptor of the ledger that a task process inherits, and the environment variable with its number.
inline constexpr int kLedgerFd = 4;
inline constexpr const char* kLedgerVariable = "POSTPONE_TASK_LEDGER";
// The most jobs of a set.
inline constexpr std::uint32_t kLedgerEntries = 128;
inline constexpr std::uint32_t kHighestSet = 0x7fffffff;

struct Cursor {
  std::uint32_t set = 0;
  bool stop = false;  // the job at `index` is the last one that runs
  std::uint32_t index = 0;

  friend constexpr bool operator==(const Cursor&, const Cursor&) = default;
};

constexpr std::uint64_t to_word(const Cursor& cursor) {
  return std::uint64_t{cursor.set} << 33 | std::uint64_t{cursor.stop} << 32 | cursor.index;
}
constexpr Cursor to_cursor(std::uint64_t word) {
  return {static_cast<std::uint32_t>(word >> 33), (word >> 32 & 1) != 0, static_cast<std::uint32_t>(word)};
}
// Can it stand so while this set of so many jobs runs? It starts at `least` or later.
constexpr bool possible_in(const Cursor& cursor, std::uint32_t set, std::uint32_t jobs,
                           std::uint32_t least = 0) {
  return cursor.set == set && cursor.index >= least && cursor.index < jobs;
}

// One run of a plain job. Times are those of CLOCK_MONOTONIC.
struct PlainRun {
  std::int64_t started_ns = 0;
  std::int64_t ended_ns = 0;
  std::uint64_t cpu_us = 0;
  std::uint64_t max_rss_bytes = 0;
};
// Can a job have run so, between these two times?
constexpr bool is_possible(const PlainRun& run, std::int64_t not_before_ns, std::int64_t not_after_ns) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 50;
  return run.started_ns >= not_before_ns && run.ended_ns >= run.started_ns && run.ended_ns <= not_after_ns &&
         run.cpu_us <= kMost && run.max_rss_bytes <= kMost;
}

// Atomics, because two processes use it at once. All in the byte order of the host.
class LedgerEntry {
 public:
  void write(const PlainRun& run) noexcept {
    started_ns_.store(run.started_ns, std::memory_order_relaxed);
    ended_ns_.store(run.ended_ns, std::memory_order_relaxed);
    cpu_us_.store(run.cpu_us, std::memory_order_relaxed);
    max_rss_bytes_.store(run.max_rss_bytes, std::memory_order_relaxed);
  }
  // Complete when the cursor has passed it.
  PlainRun read() const noexcept {
    return {started_ns_.load(std::memory_order_relaxed), ended_ns_.load(std::memory_order_relaxed),
            cpu_us_.load(std::memory_order_relaxed), max_rss_bytes_.load(std::memory_order_relaxed)};
  }
  std::int64_t started_ns() const noexcept { return started_ns_.load(std::memory_order_relaxed); }
  void start(std::int64_t at_ns) noexcept { started_ns_.store(at_ns, std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> started_ns_;
  std::atomic<std::int64_t> ended_ns_;
  std::atomic<std::uint64_t> cpu_us_;
  std::atomic<std::uint64_t> max_rss_bytes_;
};

struct Ledger {
  std::atomic<std::uint64_t> cursor;
  LedgerEntry entries[kLedgerEntries];
};
static_assert(sizeof(LedgerEntry) == 32 && sizeof(Ledger) == 8 + 32 * std::size_t{kLedgerEntries});
static_assert(std::atomic<std::uint64_t>::is_always_lock_free &&
              std::atomic<std::int64_t>::is_always_lock_free);

}  // namespace libtask::wire
