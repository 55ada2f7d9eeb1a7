#include "subworker/worker/set_run.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "subworker/task/outcome.h"
#include "sys/logger.h"

namespace postpone::subworker {

SetRun::SetRun(const Parts& parts, Hooks hooks)
    : parts_(parts), hooks_(std::move(hooks)), size_(parts.group.prefetch, parts.group.prefetch_horizon) {}

int SetRun::size() const {
  return std::min(size_.next(), parts_.tasks.jobs_left());
}

// The first is run in any case: else a set might be fetched and given back for ever.
void SetRun::run(int jobs) {
  size_.fetched(jobs);
  horizon_ = Clock::now() + parts_.group.prefetch_horizon;
  pause_.succeeded();
  begun_ = 0;
  while (HeldJob* next = parts_.held.next()) {
    hooks_.on_tick();
    if (begun_ > 0 && !(may_keep_unbegun() && parts_.tasks.is_fit())) {
      give_back_unbegun();
      break;
    }
    ++begun_;
    const std::string task = next->job.task;
    const auto since = Clock::now();
    if (size_.outlasts_horizon(task)) horizon_ = since;
    run_job(*next);
    size_.took(task, Clock::now() - since);
  }
  parts_.fence.stand_down();
}

void SetRun::attend() {
  if (!records_) return;
  // Nothing runs any more, and heartbeats may stay out for as long as the database does.
  if (!parts_.tasks.process().attend()) parts_.fence.stand_down();
}

// --- what has not begun ---

bool SetRun::may_keep_unbegun() const {
  return Clock::now() < horizon_ && !parts_.leaving.is_ordered() && hooks_.may_fetch();
}

void SetRun::give_back_unbegun() {
  const std::vector<HeldJob*> unbegun = parts_.held.unbegun();
  if (unbegun.empty()) return;
  for (HeldJob* held : unbegun) parts_.held.ends(*held, given_back(held->job));
  size_.cut_to(begun_);
  sys::log.debug("{} job(s) go back to the queue before they began", unbegun.size());
}

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
  if (outcomes.empty()) return;
  records_ = true;
  const auto recorded = parts_.session.record_beside_run(outcomes);
  records_ = false;
  if (!recorded) return pause_.failed(Clock::now(), sys::chance());
  hooks_.on_recorded(*recorded);
  owed().empty() ? pause_.succeeded() : pause_.failed(Clock::now(), sys::chance());
}

// --- one job ---

void SetRun::run_job(HeldJob& held) {
  const sql::JobId id = held.job.id;
  if (parts_.tasks.process().alive()) parts_.tasks.process().pass_on_output();
  {
    JobRun run(held, parts_.held, parts_.slot, parts_.reporter);
    if (!may_start()) return run.ends(given_back(held.job));
    execute(run);
  }
  if (!parts_.tasks.process().survived()) return;
  // The lock of this job stays taken; the others of the set are not to wait with it.
  record_beside_run(id);
  throw LeftBehind(id);
}

// The answer to a fetch may have come late, and another host may run the job by now; and the task process may
// have died or lost its way while we waited, for which this job is not to blame.
//
// The fence is asked, set and asked again: a sub-worker that is stopped in between is killed by the timer, or
// finds the fence up.
bool SetRun::may_start() {
  if (!parts_.tasks.process().is_sound()) hooks_.replace_task();
  const auto leased_since = parts_.session.leased_since_ns();
  if (parts_.fence.is_up(leased_since)) return false;
  parts_.fence.guard(leased_since);
  return !parts_.fence.is_up(leased_since);
}

void SetRun::execute(JobRun& run) {
  const sql::Job& job = run.job();
  const config::Group& group = parts_.group;
  TaskProcess& process = parts_.tasks.process();
  const auto* task = process.description().find(job.task);
  if (!task) return run.ends(unknown_task(job, process.description(), group));
  const auto time_limit = task->time_limit.count() > 0 ? task->time_limit : group.time_limit;
  RunHooks hooks;
  hooks.on_tick = [this](std::chrono::nanoseconds) { return on_run_tick(); };
  hooks.on_progress = [&run](std::uint64_t done, std::uint64_t total) { run.progresses(done, total); };
  hooks.tick_at = horizon_;
  run.begins(time_limit);
  const Execution execution = process.run(job, time_limit, hooks);
  if (execution.stop == StopReason::taken) return run.is_taken_away(taken_away(job, execution));
  run.ends(decide(job, execution, *task, group));
}

// While outcomes are recorded beside the run this is called from that very wait, so it must not use the
// connection.
std::optional<RunHooks::Stop> SetRun::on_run_tick() {
  hooks_.on_tick();
  parts_.reporter.weigh_task(parts_.tasks.process().jobs_served(), false);
  if (!records_) {
    if (!may_keep_unbegun() && pause_.over(Clock::now())) record_beside_run(std::nullopt);
    // Lend the connection only if nothing is left to be recorded: at the horizon the sub-worker needs it to
    // give jobs back.
    if (parts_.held.unbegun().empty() && owed().empty()) parts_.session.lend_connection();
  }
  return reason_to_stop();
}

std::optional<RunHooks::Stop> SetRun::reason_to_stop() const {
  const auto leased_since = parts_.session.leased_since_ns();
  if (parts_.fence.is_up(leased_since)) return RunHooks::Stop{StopReason::fenced, true};
  parts_.fence.guard(leased_since);
  if (const auto wish = parts_.slot.stop_wish())
    return *wish == board::StopWish::taken ? RunHooks::Stop{StopReason::taken, true}
                                           : RunHooks::Stop{StopReason::requested};
  const Leaving& leaving = parts_.leaving;
  if (!leaving.drains()) return std::nullopt;
  if (leaving.stops_now()) return RunHooks::Stop{StopReason::shutdown, true};
  if (leaving.has_drained_for(parts_.config.supervisor.shutdown_grace, Clock::now()))
    return RunHooks::Stop{StopReason::shutdown};
  return std::nullopt;
}

}  // namespace postpone::subworker
