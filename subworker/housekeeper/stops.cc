#include "subworker/housekeeper/stops.h"

#include <algorithm>
#include <vector>

namespace postpone::subworker {
namespace {

// Between two looks, however many hints there are.
constexpr std::chrono::milliseconds kShortestPause{20};

}  // namespace

Stops::Stops(const config::Supervisor& config, const board::Board& board)
    : board_(board), pause_(kShortestPause, std::max(kShortestPause, config.polling_interval)) {}

void Stops::look_soon(Clock::time_point now) {
  pause_.reset();
  next_look_ = std::min(next_look_, std::max(now, looked_at_ + kShortestPause));
}

void Stops::keep(sql::JobManager& manager, Clock::time_point now) {
  if (now < next_look_) return;
  looked_at_ = now;
  const std::vector<board::RunningJobView> views = board::running_jobs(board_);
  std::vector<sql::RunningJob> running;
  running.reserve(views.size());
  for (const board::RunningJobView& view : views) running.push_back({view.lease, view.job_id});
  if (!running.empty()) {
    for (const sql::JobToStop& stop : manager.jobs_to_stop(running))
      for (const board::RunningJobView& view : views)
        if (view.job_id == stop.job.job_id && view.lease == stop.job.worker_id)
          board::request_stop(board_, view, stop.is_held ? board::StopWish::abort : board::StopWish::taken);
  }
  next_look_ = now + pause_.next(sys::chance());  // last: an error before leaves the question open
}

}  // namespace postpone::subworker
