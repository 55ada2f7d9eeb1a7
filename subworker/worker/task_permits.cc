#include "subworker/worker/task_permits.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

// A fetch on a busy host takes some milliseconds.
constexpr auto kKeptAtRest = 100ms;

}  // namespace

TaskPermits::TaskPermits(const board::Board& board, board::PermitHolder holder)
    : board_(board), slot_(board.slot(holder.slot)), holder_(holder) {}

bool TaskPermits::Limited::is_called(const std::string& task) const {
  return std::ranges::find(names, task) != names.end();
}

void TaskPermits::learn(const libtask::wire::Description& description) {
  description_ = &description;
  read();
}

// Where no task has a limit, this is all that is done.
void TaskPermits::follow() {
  if (board_.header().task_limits_epoch.load(std::memory_order_relaxed) != epoch_) read();
}

// What it holds it keeps, as far as the task still has a limit here.
void TaskPermits::read() {
  epoch_ = board_.header().task_limits_epoch.load();
  std::vector<Limited> former = std::exchange(limited_, {});
  if (description_ != nullptr && board::task_limits_in_use(board_) > 0)
    for (const auto& task : description_->tasks) add(task);
  for (Limited& was : former) {
    const auto is = std::ranges::find(limited_, was.entry, &Limited::entry);
    board::want_task(slot_, was.entry, false);
    if (is == limited_.end())
      give_back(was);
    else
      is->permit = was.permit;
  }
}

void TaskPermits::add(const libtask::wire::TaskDescription& task) {
  const auto entry = board::find_task_limit(board_, task.name);
  if (!entry || board::limit_of(board_.task_limit(*entry)) == 0) return;
  Limited& limited = limited_.emplace_back(Limited{.names = {task.name}, .entry = *entry});
  limited.names.insert(limited.names.end(), task.aliases.begin(), task.aliases.end());
}

TaskPermits::Limited* TaskPermits::find(const std::string& task) {
  const auto found =
      std::ranges::find_if(limited_, [&](const Limited& each) { return each.is_called(task); });
  return found == limited_.end() ? nullptr : &*found;
}

bool TaskPermits::is_overbooked(const Limited& task) const {
  return board::is_overbooked(board_.task_limit(task.entry));
}

bool TaskPermits::is_wanted_elsewhere(const Limited& task) const {
  return board::is_full(board_.task_limit(task.entry)) &&
         board::is_wanted_by_another_group(board_, task.entry, slot_.group.load());
}

// Once another group wants it, this fetch goes without the task, so that the other one comes first. It may have no job of the
// task after all: so we ring ourselves, and look again after this fetch.
void TaskPermits::pass_on(Limited& task) {
  board::want_task(slot_, task.entry, true);
  give_back(task);
  slot_.doorbell.ring(board::kRungForWork);
}

// First the note, then another look: who frees a permit in between sees one of the two.
bool TaskPermits::is_full(Limited& task, const HeldJobs& held) {
  const bool is_one_too_many =
      task.permit && (is_overbooked(task) || board::is_surplus(board_, *task.permit));
  const bool is_wanted = task.permit && !is_one_too_many && is_wanted_elsewhere(task);
  if ((is_one_too_many || is_wanted) && is_needed(task, held)) return true;
  if (is_wanted) {
    pass_on(task);
    return true;
  }
  if (is_one_too_many) give_back(task);
  bool full = !task.permit && board::is_full(board_.task_limit(task.entry));
  if (full) {
    board::want_task(slot_, task.entry, true);
    full = board::is_full(board_.task_limit(task.entry));
  }
  if (!full) board::want_task(slot_, task.entry, false);
  return full;
}

std::vector<std::string> TaskPermits::full_tasks(const HeldJobs& held) {
  follow();
  last_use_ = Clock::now();
  std::vector<std::string> full;
  for (Limited& task : limited_)
    if (is_full(task, held)) full.insert(full.end(), task.names.begin(), task.names.end());
  return full;
}

// A job of it may run at this moment, so that the permit is kept: it goes when no job needs it any more, before the next fetch at
// the latest.
bool TaskPermits::may_run(const std::string& task) {
  follow();
  if (limited_.empty()) return true;
  Limited* const limited = find(task);
  if (limited == nullptr) return true;
  if (limited->permit) return !is_overbooked(*limited);
  limited->permit = board::try_take_task_permit(board_, limited->entry, holder_);
  if (limited->permit) return true;
  board::want_task(slot_, limited->entry, true);
  limited->permit = board::try_take_task_permit(board_, limited->entry, holder_);
  return limited->permit.has_value();
}

bool TaskPermits::are_used_up_by(const HeldJobs& held) {
  if (limited_.empty()) return false;
  return std::ranges::all_of(held.all(), [this](const HeldJob& each) {
    if (each.outcome) return true;
    const Limited* const limited = find(each.job.task);
    if (limited == nullptr) return false;
    return !may_run(each.job.task) || board::is_full(board_.task_limit(limited->entry));
  });
}

void TaskPermits::keep_needed(const HeldJobs& held) {
  for (Limited& task : limited_)
    if (task.permit && !is_needed(task, held)) give_back(task);
}

bool TaskPermits::is_needed(const Limited& task, const HeldJobs& held) {
  return std::ranges::any_of(
      held.all(), [&](const HeldJob& each) { return !each.outcome && task.is_called(each.job.task); });
}

void TaskPermits::attend(const HeldJobs& held) {
  follow();
  if (limited_.empty()) return;
  last_use_ = Clock::now();
  keep_needed(held);
  for (const HeldJob& each : held.all()) {
    if (!each.begun || each.outcome) continue;
    Limited* const limited = find(each.job.task);
    if (limited != nullptr && !limited->permit)
      limited->permit = board::take_task_permit_anyway(board_, limited->entry, holder_);
  }
}

void TaskPermits::rest(const HeldJobs& held) {
  if (!limited_.empty() && Clock::now() - last_use_ > kKeptAtRest) keep_needed(held);
}

void TaskPermits::give_back(Limited& task) {
  if (const auto permit = std::exchange(task.permit, std::nullopt))
    board::give_back(board_, *permit, holder_);
}

}  // namespace postpone::subworker
