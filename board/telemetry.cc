#include "board/telemetry.h"

namespace postpone::board {

void Histogram::observe(std::int64_t ns, const std::array<double, kBounds>& bounds) noexcept {
  const double seconds = static_cast<double>(ns) / 1e9;
  std::size_t bucket = 0;
  while (bucket < kBounds && seconds > bounds[bucket]) ++bucket;
  add(counts[bucket]);
  if (ns > 0) add(sum_ns, static_cast<std::uint64_t>(ns));
}

void HistogramSum::add(const Histogram& histogram) noexcept {
  for (std::size_t i = 0; i < counts.size(); ++i)
    counts[i] += histogram.counts[i].load(std::memory_order_relaxed);
  sum_ns += histogram.sum_ns.load(std::memory_order_relaxed);
}

// A linear search: callers keep what they were given. A name that was cut differs from the whole one, so both
// are compared as they stand on the board.
Tally& Tallies::of(std::string_view name) noexcept {
  const std::uint32_t count = in_use();
  // As it comes, most often: to bring it into the form of an entry takes longer than to find it.
  for (std::uint32_t i = 0; i < count; ++i)
    if (entries[i].name.view() == name) return entries[i];
  const Text<136> wanted(name);
  for (std::uint32_t i = 0; i < count; ++i)
    if (entries[i].name.view() == wanted.view()) return entries[i];
  const bool full = count + 1 >= kMaxTallies;
  Tally& fresh = entries[full ? kMaxTallies - 1 : count];
  if (full && count == kMaxTallies) return fresh;
  fresh.name = full ? Text<136>(kOthers) : wanted;
  used.store(full ? kMaxTallies : count + 1, std::memory_order_release);
  return fresh;
}

void count(Tally& tally, Ending ending, std::int64_t run_ns) noexcept {
  add(tally.ended[static_cast<std::size_t>(ending)]);
  add(tally.run_ns, static_cast<std::uint64_t>(run_ns));
}

std::uint32_t Tallies::in_use() const noexcept {
  return std::min<std::uint32_t>(used.load(std::memory_order_acquire), kMaxTallies);
}

void Telemetry::clear_counts() noexcept {
  aborted.store(0, std::memory_order_relaxed);
  job_cpu_ns.store(0, std::memory_order_relaxed);
  for (Histogram* histogram : {&run_time, &queue_wait, &wake_up}) {
    for (auto& count : histogram->counts) count.store(0, std::memory_order_relaxed);
    histogram->sum_ns.store(0, std::memory_order_relaxed);
  }
}

void Telemetry::forget_incarnation() noexcept {
  job.write({});
  progress.write({});
  task.write({});
}

}  // namespace postpone::board
