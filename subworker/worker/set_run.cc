#include "subworker/worker/set_run.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "subworker/task/outcome.h"
#include "subworker/worker/builtin_task.h"
#include "sys/log_batch.h"
#include "sys/logger.h"

namespace postpone::subworker {
namespace {

using libtask::wire::TaskDescription;

// Of arguments in a set: so that a frame is soon sent, and far below what a frame may hold.
constexpr std::size_t kMostBytes = 1024UL * 1024;
// With an answer to a fetch beside a job that has ended meanwhile.
constexpr auto kPatience = std::chrono::seconds(1);

// Finds the tasks of one job after the other: most jobs of a set have the task of the one before.
class TaskFinder {
 public:
  explicit TaskFinder(const TaskProcess& process) : description_(process.description()) {}

  const TaskDescription* find(const std::string& task) {
    if (found_ == nullptr || found_->name != task) found_ = description_.find(task);
    return found_;
  }

 private:
  const libtask::wire::Description& description_;
  const TaskDescription* found_ = nullptr;
};

}  // namespace

SetRun::SetRun(const Parts& parts, TaskPermits permits, Hooks hooks)
    : parts_(parts),
      permits_(std::move(permits)),
      hooks_(std::move(hooks)),
      size_(parts.group.prefetch, parts.group.prefetch_horizon),
      ahead_(parts.group.prefetch_horizon) {}

int SetRun::size() const {
  return std::min(size_.next(), parts_.tasks.jobs_left());
}

// The first is run in any case: else a set might be fetched and given back for ever.
void SetRun::run(int jobs) {
  size_.fetched(jobs);
  pause_.succeeded();
  begun_ = 0;
  bool has_begun = false;
  give_back_unpermitted();
  while (HeldJob* next = parts_.held.next()) {
    hooks_.on_tick();
    if (has_begun && !(may_keep_unbegun() && parts_.tasks.is_fit() && parts_.held.has_room())) {
      give_back_unbegun();
      break;
    }
    has_begun |= run_next(*next);
  }
  parts_.fence.stand_down();
}

// False when it goes back unbegun, for want of a permit.
bool SetRun::run_next(HeldJob& next) {
  if (!permits_.may_run(next.job.task)) {
    parts_.held.ends(next, given_back(next.job));
    return false;
  }
  const auto since = Clock::now();
  fetch_ahead_at_ = Clock::time_point::max();
  ended_.reset();
  if (parts_.held.unbegun().size() > 1 && may_start(next.job)) {
    // A new task process may have taken longer to start than the horizon is away.
    const auto set = may_keep_unbegun() ? to_hand_over() : std::vector<HeldJob*>();
    if (set.size() > 1) {
      run_several(set);
      return true;
    }
  }
  ++begun_;
  const std::string task = next.job.task;
  if (size_.outlasts_horizon(task)) next.horizon = std::min(next.horizon, since);
  plan_fetch_ahead(task, since);
  run_job(next);
  size_.took(task, ended_.value_or(Clock::now()) - since);
  return true;
}

void SetRun::attend() {
  // A task that is built in runs in this process, and ends by itself.
  if (!records_ || !parts_.tasks.process().runs()) return;
  if (parts_.tasks.process().attend()) return;
  if (!ended_) ended_ = Clock::now();
  // Nothing runs any more, and heartbeats may stay out for as long as the database does.
  parts_.fence.stand_down();
  // What has become of the job stands on no board until the wait is over.
  if (fetches_ahead_ && Clock::now() > *ended_ + kPatience) throw AnswerIsLate();
}

int SetRun::attended_fd() const {
  return records_ ? parts_.tasks.process().attended_fd() : -1;
}

// --- what has not begun ---

bool SetRun::may_keep_unbegun() const {
  return Clock::now() < parts_.held.horizon() && !parts_.leaving.is_ordered() && hooks_.may_fetch();
}

void SetRun::give_back_unbegun() {
  const std::vector<HeldJob*> unbegun = parts_.held.unbegun();
  if (unbegun.empty()) return;
  for (HeldJob* held : unbegun) parts_.held.ends(*held, given_back(held->job));
  if (begun_ == 0) ahead_.went_back();
  size_.cut_to(begun_);
  sys::log.debug("{} job(s) go back to the queue before they began", unbegun.size());
}

// At once: siblings see then which permits are taken, and take no jobs in vain.
void SetRun::give_back_unpermitted() {
  for (HeldJob* held : parts_.held.unbegun())
    if (!permits_.may_run(held->job.task)) parts_.held.ends(*held, given_back(held->job));
}

// --- several at once ---

// A job that will outlast the horizon runs by itself, since those behind it could only wait.
std::vector<HeldJob*> SetRun::to_hand_over() {
  std::vector<HeldJob*> set;
  if (!parts_.tasks.process().serves_sets()) return set;
  const auto most = std::min<std::size_t>(libtask::wire::kLedgerEntries,
                                          static_cast<std::size_t>(parts_.tasks.jobs_left()));
  std::size_t bytes = 0;
  TaskFinder tasks(parts_.tasks.process());
  for (HeldJob* held : parts_.held.unbegun()) {
    const sql::Job& job = held->job;
    const TaskDescription* task = tasks.find(job.task);
    bytes += job.task.size() + job.queue.size() + job.args.size() + (job.lock ? job.lock->size() : 0) +
             (job.meta ? job.meta->size() : 0);
    if (set.size() == most || bytes > kMostBytes || size_.outlasts_horizon(job.task) || task == nullptr ||
        task->fresh_process || !permits_.may_run(job.task))
      break;
    set.push_back(held);
  }
  return set;
}

// REQUIRES: may_start(), and a task process that has all of the tasks.
void SetRun::run_several(const std::vector<HeldJob*>& set) {
  const auto since = Clock::now();
  TaskProcess& process = parts_.tasks.process();
  process.pass_on_output();
  TaskFinder tasks(process);
  const auto task_of = [&](const HeldJob& held) -> const TaskDescription& {
    return *tasks.find(held.job.task);
  };
  std::vector<SetMember> jobs;
  jobs.reserve(set.size());
  for (const HeldJob* held : set) jobs.push_back({held->job, time_limit_of(task_of(*held))});
  const HeldJob* last = nullptr;
  std::optional<JobRun> run;
  Clock::time_point last_since = since;
  SetHooks hooks;
  hooks.tick_at = parts_.held.horizon();
  hooks.goes_on = [this] { return goes_on(); };
  hooks.on_hand_over = [&](std::uint32_t number) {
    parts_.slot.enter(board::SlotState::running);
    parts_.reporter.set_started(set.size());
    parts_.held.hands_over(set, number, plain_success(set.front()->job, {}, parts_.group));
  };
  hooks.on_last = [&](std::size_t index, const std::vector<libtask::wire::PlainRun>& before) {
    take_plain(set, before);
    for (std::size_t i = index + 1; i < set.size(); ++i) parts_.held.keeps(*set[i]);
    begun_ += static_cast<int>(index) + 1;
    last = set[index];
    if (!before.empty()) last_since = Clock::time_point(std::chrono::nanoseconds(before.back().ended_ns));
    plan_fetch_ahead(last->job.task, last_since);
    run.emplace(*set[index], parts_.held, parts_.slot, parts_.reporter);
    return begin(*run, task_of(*last));
  };
  const Execution execution = process.run_set(jobs, hooks);
  const sql::JobId id = last->job.id;
  const std::string task = last->job.task;
  end(*run, execution, task_of(*last));
  run.reset();
  size_.took(task, ended_.value_or(Clock::now()) - last_since);
  see_to_survivors(id);
}

void SetRun::take_plain(const std::vector<HeldJob*>& set, const std::vector<libtask::wire::PlainRun>& runs) {
  const sys::LogBatch batch;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    size_.took(set[i]->job.task, std::chrono::nanoseconds(runs[i].ended_ns - runs[i].started_ns));
    announce_plain(*set[i], parts_.held, parts_.reporter, runs[i],
                   plain_success(set[i]->job, runs[i], parts_.group));
  }
}

// What may stop the job that runs, or has to be seen to in a job by itself, ends the set.
bool SetRun::goes_on() {
  hooks_.on_tick();
  parts_.reporter.weigh_task(parts_.tasks.process().jobs_served(), false);
  return may_keep_unbegun() && !reason_to_stop();
}

// --- one job ---

void SetRun::run_job(HeldJob& held) {
  const sql::JobId id = held.job.id;
  if (parts_.tasks.process().alive()) parts_.tasks.process().pass_on_output();
  {
    JobRun run(held, parts_.held, parts_.slot, parts_.reporter);
    if (!may_start(held.job)) return run.ends(given_back(held.job));
    execute(run);
  }
  see_to_survivors(id);
}

// The lock of this job stays taken; the others of the set are not to wait with it.
void SetRun::see_to_survivors(sql::JobId last) {
  if (!parts_.tasks.process().survived()) return;
  record_beside_run(last);
  throw LeftBehind(last);
}

// The answer to a fetch may have come late, and another host may run the job by now; and the task process may
// have died or lost its way while we waited, for which this job is not to blame.
//
// The fence is asked, set and asked again: a sub-worker that is stopped in between is killed by the timer, or
// finds the fence up.
bool SetRun::may_start(const sql::Job& next) {
  if (!parts_.tasks.process().is_sound() || wants_fresh_process(next)) hooks_.replace_task();
  const auto leased_since = parts_.session.leased_since_ns();
  if (parts_.fence.is_up(leased_since)) return false;
  parts_.fence.guard(leased_since);
  return !parts_.fence.is_up(leased_since);
}

// And has the present one served another job?
bool SetRun::wants_fresh_process(const sql::Job& job) {
  const TaskProcess& process = parts_.tasks.process();
  const TaskDescription* task = process.description().find(job.task);
  return task != nullptr && task->fresh_process && process.jobs_served() > 0;
}

void SetRun::execute(JobRun& run) {
  const sql::Job& job = run.job();
  const config::Group& group = parts_.group;
  TaskProcess& process = parts_.tasks.process();
  const auto* task = process.description().find(job.task);
  if (!task) {
    if (const auto builtin = builtin_task(job.task)) return execute_builtin(run, *builtin);
    return refuse(run, unknown_task(job, process.description(), group, sys::chance()));
  }
  const RunHooks hooks = begin(run, *task);
  end(run, process.run(job, time_limit_of(*task), hooks), *task);
  parts_.tasks.ran(*task);
}

// The executable does not have its task.
void SetRun::refuse(JobRun& run, sql::Outcome outcome) {
  if (parts_.group.unknown_task != config::UnknownTask::leave) return run.ends(std::move(outcome));
  parts_.session.leave_alone(run.job(), outcome.message);
  run.is_left();
}

void SetRun::execute_builtin(JobRun& run, const TaskDescription& task) {
  fetch_ahead_at_ = Clock::time_point::max();  // it has no process that could be attended meanwhile
  const RunHooks hooks = begin(run, task);
  end(run, run_builtin(run.job(), parts_.config.database, time_limit_of(task), hooks), task);
}

std::chrono::milliseconds SetRun::time_limit_of(const TaskDescription& task) const {
  return task.time_limit.count() > 0 ? task.time_limit : parts_.group.time_limit;
}

RunHooks SetRun::begin(JobRun& run, const TaskDescription& task) {
  RunHooks hooks;
  hooks.on_tick = [this](std::chrono::nanoseconds) { return on_run_tick(); };
  hooks.on_progress = [this, &run](const sql::Progress& progress) {
    run.progresses(progress);
    progress_.is_told(progress);
  };
  hooks.tick_at = std::min(parts_.held.horizon(), fetch_ahead_at_);
  hooks.memory_limit = task.memory_limit;
  run.begins(time_limit_of(task));
  progress_.begins(run.job(), Clock::now());
  return hooks;
}

void SetRun::end(JobRun& run, const Execution& execution, const TaskDescription& task) {
  progress_.ends();
  if (execution.stop == StopReason::taken) return run.is_taken_away(taken_away(run.job(), execution));
  run.ends(decide(run.job(), execution, task, parts_.group, sys::chance()));
}

// While outcomes are recorded beside the run this is called from that very wait, so it must not use the
// connection.
std::optional<RunHooks::Stop> SetRun::on_run_tick() {
  hooks_.on_tick();
  permits_.attend(parts_.held);
  parts_.reporter.weigh_task(parts_.tasks.process().jobs_served(), false);
  if (!records_) {
    if (!may_keep_unbegun() && pause_.over(Clock::now())) record_beside_run(std::nullopt);
    if (Clock::now() >= fetch_ahead_at_ && may_keep_unbegun()) fetch_ahead();
    record_progress();
    // Lend the connection only if nothing is left to be recorded: at the horizon the sub-worker needs it to
    // give jobs back.
    if (parts_.held.unbegun().empty() && owed().empty() && parts_.held.claimed_running().empty())
      parts_.session.lend_connection();
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
