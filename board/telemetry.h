// What the members of a family write of themselves on the board, for the status socket to show. No decision
// is made by it.
//
// Each datum has one writer: the owner of the slot it stands in, or the housekeeper for what stands in the
// header. Readers never wait and never make a writer wait. Counters and histograms belong to the slot and not
// to the incarnation that owns it at the moment: the next one counts on, so that no total goes backwards when
// a sub-worker dies.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "board/guarded.h"

namespace postpone::board {

inline constexpr std::size_t kMaxTallies = 256;    // tasks, or queues, that a slot counts by name
inline constexpr std::size_t kMaxQueueFacts = 64;  // queues whose depth is shown by name
inline constexpr std::size_t kFailuresKept = 50;
inline constexpr std::size_t kNewsKept = 128;

// Adds to a counter that only the caller writes: two plain instructions, and no bus lock.
inline void add(std::atomic<std::uint64_t>& counter, std::uint64_t n = 1) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

// The upper bounds of the buckets, in seconds; one more bucket takes the rest.
inline constexpr std::size_t kBounds = 12;
inline constexpr std::array<double, kBounds> kJobBounds{0.001, 0.005, 0.025, 0.1, 0.5,   1,
                                                        5,     30,    60,    300, 1'800, 7'200};
inline constexpr std::array<double, kBounds> kWakeUpBounds{
    0.000'025, 0.000'05, 0.000'1, 0.000'25, 0.000'5, 0.001, 0.002'5, 0.005, 0.01, 0.025, 0.1, 1};

struct Histogram {
  std::atomic<std::uint64_t> counts[kBounds + 1];  // of each bucket alone
  std::atomic<std::uint64_t> sum_ns;

  void observe(std::int64_t ns, const std::array<double, kBounds>& bounds) noexcept;
};

// How jobs ended.
enum class Ending : std::uint32_t { succeeded, failed, retried, aborted };
inline constexpr std::size_t kEndings = 4;

// What is counted of one task, or of one queue. `name` is written once, before Tallies::used covers it.
struct Tally {
  Text<136> name;
  std::atomic<std::uint32_t> registered;  // a task that the present task executable has
  std::atomic<std::uint64_t> ended[kEndings];
  std::atomic<std::uint64_t> run_ns;
};

// Counters by name. Bounded: what comes when all places are taken is counted in the last one, kOthers.
inline constexpr std::string_view kOthers = "(others)";
struct Tallies {
  std::atomic<std::uint32_t> used;
  Tally entries[kMaxTallies];

  // By the owner of the slot: the place of this name, a new one when it has none.
  Tally& of(std::string_view name) noexcept;
  std::uint32_t in_use() const noexcept;
};

// The job that the slot runs. job_id 0 = none.
struct RunningJob {
  std::int64_t job_id = 0;
  std::int64_t attempt = 0;
  std::int64_t started_ns = 0;     // now_ns()
  std::int64_t time_limit_ns = 0;  // 0 = none
  Text<136> task;
  Text<136> queue;
  Text<136> lock;  // empty = none
};

// As the task last said.
struct Progress {
  std::int64_t job_id = 0;  // the job that says so; readers ignore that of an earlier job
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  std::int64_t at_ns = 0;
  Text<136> note{};  // empty = none
};

struct TaskFacts {
  std::int64_t pid = 0;  // 0 = none
  std::int64_t started_ns = 0;
  std::int64_t jobs_served = 0;
  std::int64_t rss_bytes = 0;   // 0 = not weighed yet
  std::int64_t cpu_ns = 0;      // with what it has waited for
  std::int64_t weighed_ns = 0;  // when the last two were read
};

// A job that did not end well.
struct FailedJob {
  std::int64_t job_id = 0;
  std::int64_t attempt = 0;
  std::int64_t at_ns = 0;
  std::int64_t ending = 0;  // an Ending
  Text<24> cause;           // of postpone_cause
  Text<136> task;
  Text<136> queue;
  Text<256> message;
};

// What happened, for clients that follow it live. Written only while one does.
struct News {
  std::int64_t job_id = 0;
  std::int64_t attempt = 0;
  std::int64_t at_ns = 0;
  std::int64_t ended = 0;   // 0: it was started
  std::int64_t ending = 0;  // an Ending
  std::int64_t run_ns = 0;
  Text<24> cause;
  Text<72> task;
  Text<72> queue;
};

// All that the owner of a slot writes of itself and its jobs.
struct Telemetry {
  // Counted over all incarnations.
  std::atomic<std::uint64_t> aborted;
  std::atomic<std::uint64_t> job_cpu_ns;
  Histogram run_time;
  Histogram queue_wait;
  Histogram wake_up;
  Guarded<RunningJob> job;
  Guarded<Progress> progress;
  Guarded<TaskFacts> task;
  Tallies tasks;
  Tallies queues;
  Ring<FailedJob, kFailuresKept> failures;
  Ring<News, kNewsKept> news;

  // By the supervisor, while no process owns the slot: what an incarnation wrote of itself is not true of the
  // next one.
  void forget_incarnation() noexcept;
  // By the supervisor, while no process owns the slot: what was counted for one group is not to be counted
  // for the next one that the slot serves. Totals by name belong to no group, and stay.
  void clear_counts() noexcept;
};

// How many jobs wait in a queue.
struct QueueFact {
  Text<136> name;
  std::int64_t ready = 0;      // could be run now
  std::int64_t scheduled = 0;  // wait for their time
  std::int64_t oldest_ns = 0;  // for how long the oldest of the ready ones could have been run, when measured
};

struct QueueFacts {
  std::int64_t measured_ns = 0;   // 0 = never
  std::int64_t took_ns = 0;       // the query
  std::int64_t count = 0;         // of `queues`
  std::int64_t other_queues = 0;  // those beyond: how many, and their sums
  std::int64_t other_ready = 0;
  std::int64_t other_scheduled = 0;
  QueueFact queues[kMaxQueueFacts];
};

struct DatabaseFacts {
  std::int64_t connected_ns = 0;    // since when; 0 = not connected
  std::int64_t lost_ns = 0;         // since when not; 0 = it never was, or is now
  std::int64_t server_version = 0;  // 150006 is 15.6; 0 = not known yet
  std::int64_t heartbeat_ns = 0;    // when heartbeats last reached the database; 0 = never
  std::int64_t last_error_ns = 0;   // 0 = none
  Text<256> last_error;
};

struct SchedulesFacts {
  std::int64_t trouble_ns = 0;  // since when; 0 = all schedules tick
  Text<256> trouble;            // why some do not
};

// Counts an attempt.
void count(Tally& tally, Ending ending, std::int64_t run_ns) noexcept;

// All that the housekeeper writes of itself and its work.
struct HousekeeperTelemetry {
  // Counted over all incarnations.
  std::atomic<std::uint64_t> rescued;  // jobs
  std::atomic<std::uint64_t> connections;
  std::atomic<std::uint64_t> reconnects;  // of them those that followed a loss, and no replaced housekeeper
  // Of attempts that a rescue has ended: no sub-worker counts those.
  Tallies ended_tasks;
  Tallies ended_queues;
  Guarded<DatabaseFacts> database;
  Guarded<SchedulesFacts> schedules;
  Guarded<QueueFacts> queues;
  Ring<FailedJob, kFailuresKept> failures;  // jobs of dead workers
};

// What a reader adds up. Plain numbers.
struct HistogramSum {
  std::array<std::uint64_t, kBounds + 1> counts{};
  std::uint64_t sum_ns = 0;

  void add(const Histogram& histogram) noexcept;
};

}  // namespace postpone::board
