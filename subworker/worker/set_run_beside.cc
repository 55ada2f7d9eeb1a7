// What a set asks of the database while one of its jobs runs. While it waits for the answer, attend() sees to that job.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "subworker/worker/set_run.h"

namespace postpone::subworker {
namespace {

using libtask::wire::TaskDescription;

// First the task process is to get what it is to run.
constexpr std::chrono::nanoseconds kSoon = std::chrono::milliseconds(1);

}  // namespace

std::vector<SentOutcome> SetRun::owed() const {
  std::vector<SentOutcome> outcomes = parts_.held.unrecorded();
  std::erase_if(outcomes, [](const SentOutcome& outcome) { return outcome.left_to_people; });
  return outcomes;
}

// Until the database has answered, it is tried again after waits that grow. What is left to people is settled
// with the lease, when the run has ended.
void SetRun::record_beside_run(std::optional<sql::JobId> but_not) {
  give_back_unbegun();
  std::vector<SentOutcome> outcomes = owed();
  std::erase_if(outcomes, [but_not](const SentOutcome& outcome) { return outcome.job_id == but_not; });
  const std::vector<sql::JobId> running = parts_.held.claimed_running();
  if (outcomes.empty() && running.empty()) return;
  records_ = true;
  const auto recorded = parts_.session.record_beside_run(outcomes, running);
  records_ = false;
  if (!recorded) return pause_.failed(Clock::now(), sys::chance());
  parts_.held.settled(running);
  hooks_.on_recorded(*recorded);
  owed().empty() ? pause_.succeeded() : pause_.failed(Clock::now(), sys::chance());
}

// What is told while we wait for the answer, and whether the job has ended by then, attend() sees to.
void SetRun::record_progress() {
  std::optional<ToldProgress> told = progress_.take_due(Clock::now());
  if (!told) return;
  records_ = true;
  const bool is_stored = parts_.session.store_progress(*told);
  records_ = false;
  if (is_stored) return progress_.stored(Clock::now());
  progress_.failed(std::move(*told), Clock::now(), sys::chance());
}

// While we wait for the answer no other job begins. So it is asked for when the last one runs by itself, which is of this task and
// has begun then. After a job that has its process for itself the next ones would only wait for a fresh one.
void SetRun::plan_fetch_ahead(const std::string& task, Clock::time_point since) {
  const auto run_time = size_.expected(task);
  const TaskDescription* described = parts_.tasks.process().description().find(task);
  if (described == nullptr || described->fresh_process) return;
  const bool is_last = parts_.held.unbegun().size() == 1;
  if (parts_.group.prefetch == 1 || !is_last || !ahead_.is_wanted(run_time)) return;
  fetch_ahead_at_ = std::max(since + run_time - ahead_.lead(), Clock::now() + kSoon);
}

// How many more jobs may be held, and given to this task process.
int SetRun::room_ahead() const {
  const auto& all = parts_.held.all();
  const auto unended = std::ranges::count_if(all, [](const HeldJob& held) { return !held.outcome; });
  return std::min(parts_.tasks.jobs_left() - static_cast<int>(unended),
                  static_cast<int>(board::kJobsPerSlot - all.size()));
}

// Once in a run. What is left to people is settled first, with the lease, when the run has ended.
void SetRun::fetch_ahead() {
  fetch_ahead_at_ = Clock::time_point::max();
  if (hooks_.is_a_sibling_free()) return;
  const int jobs = std::min(size_.next(), room_ahead());
  std::vector<SentOutcome> outcomes = owed();
  if (jobs < 1 || outcomes.size() < parts_.held.unrecorded().size()) return;
  records_ = fetches_ahead_ = true;
  auto visit = parts_.session.visit_beside_run(std::move(outcomes),
                                               {.max_jobs = jobs, .slow_tasks = size_.slow_tasks()});
  records_ = fetches_ahead_ = false;
  if (!visit) return ahead_.failed();
  ahead_.answered(visit->took, visit->fetched.more);
  if (const auto fetched = static_cast<int>(visit->fetched.jobs.size()); fetched > 0) {
    size_.fetched(fetched);
    begun_ = 0;
  }
  hooks_.on_fetched_ahead(*visit);
  give_back_unpermitted();
}

}  // namespace postpone::subworker
