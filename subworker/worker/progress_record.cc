#include "subworker/worker/progress_record.h"

#include <utility>

namespace postpone::subworker {
namespace {

constexpr auto kProgressRecordInterval = std::chrono::seconds(1);

}  // namespace

void ProgressRecord::begins(const sql::Job& job, Clock::time_point now) {
  job_id_ = job.id;
  attempt_ = sql::next_attempt(job.attempts);
  next_ = now + kProgressRecordInterval;
  untold_.reset();
}

void ProgressRecord::is_told(const sql::Progress& progress) {
  untold_ = ToldProgress{job_id_, attempt_, progress};
}

std::optional<ToldProgress> ProgressRecord::take_due(Clock::time_point now) {
  if (now < next_ || !pause_.over(now)) return std::nullopt;
  return std::exchange(untold_, std::nullopt);
}

void ProgressRecord::stored(Clock::time_point now) {
  next_ = now + kProgressRecordInterval;
  pause_.succeeded();
}

void ProgressRecord::failed(ToldProgress taken, Clock::time_point now, double chance) {
  pause_.failed(now, chance);
  if (!untold_) untold_ = std::move(taken);
}

}  // namespace postpone::subworker
