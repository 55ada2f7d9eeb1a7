#include "subworker/housekeeper/due_jobs.h"

#include <algorithm>
#include <span>

#include "board/wake.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

// A transaction may commit up to this long after the due time of a job that it scheduled; the housekeeper
// then still finds the job.
constexpr auto kLateCommit = 5s;

}  // namespace

DueJobs::DueJobs(const config::Config& config, const board::Board& board, const ServerClock& server_clock)
    : config_(config), board_(board), server_clock_(server_clock) {}

void DueJobs::connected(Clock::time_point now) {
  const auto server_now = server_clock_.at(now);
  seen_ = seen_ ? std::min(*seen_, server_now) : server_now;
  look_soon();
}

void DueJobs::look_soon() {
  look_back(kLateCommit);
}

void DueJobs::look_back(std::chrono::seconds back) {
  look_back_ = std::max(look_back_.value_or(back), back);
}

DueJobs::Clock::time_point DueJobs::due() const {
  if (look_back_) return {};
  return next_ ? next_at_ : Clock::time_point::max();
}

void DueJobs::keep(sql::JobManager& manager, Clock::time_point now, const std::function<void()>& between) {
  if (next_ && now >= next_at_) {
    wake_for(next_->queues);
    // The wait for a distant time is cut, and then nothing is due yet.
    seen_ = std::min(next_->due_at, server_clock_.at(now));
    next_.reset();
    look_back(0s);
  }
  if (!look_back_) return;
  next_ = manager.next_due(*seen_ - *look_back_);
  if (next_ && next_->due_in.count() <= 0) {
    // A job is overdue, and others may be. The housekeeper rings one sub-worker of each group; its fetch
    // finds what is due, and it rings its siblings.
    wake_everybody();
    seen_ = next_->due_at - std::chrono::duration_cast<sql::SystemTime::duration>(next_->due_in);
    between();
    next_ = manager.next_due(seen_);
  }
  if (next_) next_at_ = Clock::now() + std::chrono::ceil<Clock::duration>(next_->due_in);
  look_back_.reset();  // last: an error before leaves the question open
}

void DueJobs::wake_everybody() const {
  for (const config::Group& group : config_.groups) board::wake(board_, std::span(&group.name, 1), 1);
}

void DueJobs::wake_for(const std::vector<std::string>& queues) const {
  for (const std::string& queue : queues) board::wake(board_, config_.groups_serving(queue), 1);
}

}  // namespace postpone::subworker
