// What the board has of each job that a sub-worker holds: where it stands, and, once it has ended, what became of
// it. So an outcome outlives its sub-worker.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "libtask/wire/ledger.h"

namespace postpone::board {

inline constexpr std::uint32_t kMaxOutcomeBytes = 16'384;
// For the outcomes of one sub-worker's jobs together: most jobs need no text, or one of some hundred bytes.
inline constexpr std::uint32_t kOutcomeRoom = 32 * kMaxOutcomeBytes;

// Where a job stands that a sub-worker holds.
enum class JobPhase : std::uint32_t {
  none,       // this entry is free
  fetched,    // not begun
  running,    // given to the task process
  ended,      // outcome decided, not yet known to be recorded in the database
  handed,     // given to the task process as one of a set: the ledger says whether it has begun or succeeded
  succeeded,  // as `ended`; the outcome is a plain success, and stands in `success` instead of a text
};

// A success of which there is nothing to be said but this.
struct Success {
  std::atomic<std::int32_t> attempt;
  // As in the outcome (sql/job.h), 0 or 1.
  std::atomic<std::uint32_t> deletes_job;
  std::atomic<std::uint32_t> omits_events;
  std::atomic<std::uint32_t> omits_attempt;
  std::atomic<std::int64_t> run_ns;
  std::atomic<std::int64_t> cpu_us;
  std::atomic<std::int64_t> max_rss_bytes;
};

// The numbers of a run. REQUIRES: is_possible(run, …).
void write_success(Success& success, const libtask::wire::PlainRun& run) noexcept;

// One job that a sub-worker holds. The owner writes the text of its outcome, and where that stands in the room for
// outcomes, completely before it stores `ended`, so that a reader that finds `ended` after the owner's death may
// trust the text: the JSON element that postpone_finish_jobs() takes. The same holds of `success` and
// `succeeded`. With `handed` the attempt and the wish to delete stand in `success`, and the rest in the ledger.
struct JobEntry {
  std::atomic<std::int64_t> job_id;
  std::atomic<JobPhase> phase;
  std::atomic<std::uint32_t> outcome_at;
  std::atomic<std::uint32_t> outcome_bytes;  // 0 with `ended`: it did not fit, and only the owner knows it
  std::atomic<std::uint32_t> set;            // with `handed`: which set, and its place in it
  std::atomic<std::uint32_t> index;
  std::atomic<std::uint32_t> jobs_of_set;
  std::atomic<std::int64_t> handed_ns;  // now_ns() before the task process could know of the set
  Success success;
};

using OutcomeRoom = char[kOutcomeRoom];
// The text of an outcome that stands in this room; empty when it did not fit, or when what the entry says of it
// cannot be.
std::string_view outcome_of(const JobEntry& entry, const OutcomeRoom& outcomes) noexcept;
// The owner writes it there, for `ended`. REQUIRES: as many bytes are free from `at` on; at most kMaxOutcomeBytes.
void write_outcome(JobEntry& entry, OutcomeRoom& outcomes, std::uint32_t at, std::string_view text) noexcept;

}  // namespace postpone::board
