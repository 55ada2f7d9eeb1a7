#include "board/job_entry.h"

#include <cstring>

namespace postpone::board {

void write_success(Success& success, const libtask::wire::PlainRun& run) noexcept {
  success.run_ns.store(run.ended_ns - run.started_ns, std::memory_order_relaxed);
  success.cpu_us.store(static_cast<std::int64_t>(run.cpu_us), std::memory_order_relaxed);
  success.max_rss_bytes.store(static_cast<std::int64_t>(run.max_rss_bytes), std::memory_order_relaxed);
}

std::string_view outcome_of(const JobEntry& entry, const OutcomeRoom& outcomes) noexcept {
  const std::uint32_t at = entry.outcome_at.load(std::memory_order_relaxed);
  const std::uint32_t bytes = entry.outcome_bytes.load(std::memory_order_relaxed);
  if (bytes > kMaxOutcomeBytes || at > kOutcomeRoom - bytes) return {};
  return {outcomes + at, bytes};
}

void write_outcome(JobEntry& entry, OutcomeRoom& outcomes, std::uint32_t at, std::string_view text) noexcept {
  std::memcpy(outcomes + at, text.data(), text.size());
  entry.outcome_at.store(at, std::memory_order_relaxed);
  entry.outcome_bytes.store(static_cast<std::uint32_t>(text.size()), std::memory_order_relaxed);
}

}  // namespace postpone::board
