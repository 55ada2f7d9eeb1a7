#include "subworker/worker/task_keeper.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <string_view>
#include <utility>

#include "subworker/worker/recycle.h"
#include "sys/backoff.h"
#include "sys/log.h"
#include "sys/logger.h"
#include "sys/process.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

constexpr auto kShutDownGrace = 1s;

void log_output(Output::Stream stream, std::string_view line) {
  sys::log_output(stream == Output::Stream::out ? "stdout" : "stderr", line);
}

}  // namespace

LeftBehind::LeftBehind()
    : std::runtime_error(
          "what a job has started cannot be killed: another sub-worker follows when that has ended") {}

LeftBehind::LeftBehind(sql::JobId job)
    : std::runtime_error(fmt::format(
          "what job {} has started cannot be killed: its outcome is recorded when that has ended", job)) {}

TaskKeeper::TaskKeeper(const config::Config& config, const config::Group& group, std::string cgroup,
                       board::Ledger ledger, board::Slot& slot, Reporter& reporter)
    : config_(config),
      group_(group),
      cgroup_(std::move(cgroup)),
      slot_(slot),
      reporter_(reporter),
      ledger_(std::move(ledger)) {}

bool TaskKeeper::is_fit() {
  if (!task_ || !task_->is_sound()) return false;
  if (task_->jobs_served() == 0) return true;
  const std::int64_t rss = group_.max_rss > 0 ? sys::resident_bytes(task_->pid()) : 0;
  const std::string reason = reason_to_recycle({task_->jobs_served(), task_->age(), rss}, group_, max_jobs_);
  if (!reason.empty()) sys::log.debug("task process {} is replaced: {}", task_->pid(), reason);
  return reason.empty();
}

int TaskKeeper::jobs_left() const {
  if (!task_ || group_.fresh_process_per_job || last_was_alone_) return 1;
  return max_jobs_ > 0 ? std::max(1, max_jobs_ - task_->jobs_served()) : std::numeric_limits<int>::max();
}

void TaskKeeper::ran(const libtask::wire::TaskDescription& task) {
  last_was_alone_ = task.fresh_process;
  if (last_was_alone_) task_->retire();
}

void TaskKeeper::replace(const std::function<void()>& waiting) {
  reporter_.does("starting its task process");
  {
    const sys::OutsideLogContext before;  // its last words are not the next job's
    shut_down();
  }
  reporter_.task_ended();
  if (task_ && task_->survived()) throw LeftBehind();
  task_.emplace(group_, cgroup_, ledger_, &log_output);
  slot_.task_pid.store(task_->pid());
  reporter_.task_started(task_->pid());
  max_jobs_ = max_jobs_with_jitter(group_, sys::chance());
  // Less than what the supervisor grants us in all: it would kill us without a word on what is wrong.
  task_->greet(config_.supervisor.start_deadline * 9 / 10, waiting);
  reporter_.task_has(task_->description());
}

void TaskKeeper::sweep() {
  if (!task_->kill_leftovers()) throw LeftBehind();
}

void TaskKeeper::look() {
  task_->pass_on_output();
  if (task_->has_ended())
    reporter_.task_ended();
  else
    reporter_.weigh_task(task_->jobs_served(), true);
}

void TaskKeeper::shut_down() {
  if (task_) task_->shut_down(kShutDownGrace);
}

}  // namespace postpone::subworker
