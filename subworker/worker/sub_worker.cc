#include "subworker/worker/sub_worker.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "board/wake.h"
#include "subworker/family/signals.h"
#include "subworker/task/ending.h"
#include "subworker/task/job_look.h"
#include "subworker/task/outcome.h"
#include "subworker/worker/recycle.h"
#include "sys/cgroup.h"
#include "sys/crash_point.h"
#include "sys/log.h"
#include "sys/process_title.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

constexpr auto kIdleSlice =
    1s;  // the heartbeat on the board; also bounds what a step of the wall clock can cost
constexpr auto kShutDownGrace = 1s;
constexpr auto kStoreNowLimit = 2s;  // told to stop now: how long an outcome may still take to be stored

// Something that a job had started cannot be killed. Its outcome stays on the board, unrecorded, and its lock
// taken, until the supervisor, who is handed what is left, sees that dead.
struct LeftBehind : std::runtime_error {
  explicit LeftBehind(const sql::Job& job)
      : std::runtime_error(
            fmt::format("what job {} has started cannot be killed: its outcome is recorded when "
                        "that has ended",
                        job.id)) {}
};

}  // namespace

SubWorker::SubWorker(const config::Config& config, const config::Group& group, const board::Board& board,
                     Identity identity, Leash leash)
    : config_(config),
      group_(group),
      board_(board),
      identity_(std::move(identity)),
      leash_(std::move(leash)),
      slot_(board.slot(identity_.slot)),
      reporter_(board.header(), slot_),
      log_follower_(board),
      session_(config, group, board, identity_,
               {.on_tick = [this] { tick(); },
                .gives_up = [this](bool pending) { return gives_up(pending); },
                .on_lease = [this](sql::WorkerId id) { leash_.say(board::LeashWord::leased, id); }}),
      fence_(slot_, config.supervisor, leash_.exists()) {}

board::SubWorkerExit SubWorker::run() {
  try {
    slot_.enter(board::SlotState::starting);
    tick();
    // The kernel keeps the limit exactly, where it can; what weighs the task now and then does so everywhere.
    if (!identity_.cgroup.empty()) sys::limit_cgroup_memory(identity_.cgroup, group_.memory_limit);
    work();
    return leave();
  } catch (const BadTask& error) {
    spdlog::error("{}", error.what());
  } catch (const sys::SpawnError& error) {
    spdlog::error("{}", error.what());
  } catch (const LeftBehind& error) {
    spdlog::error("{}", error.what());
    return board::SubWorkerExit::internal_error;
  } catch (const sql::DatabaseError& error) {
    spdlog::error("database: {}", error.what());
    return board::SubWorkerExit::bad_schema;
  }
  return board::SubWorkerExit::bad_task;
}

void SubWorker::work() {
  while (!leaving()) {
    if (!task_is_fit()) {
      // First what has ended: its lock is free at once, and the next job stays where others can take it
      // meanwhile.
      if (!unrecorded_.empty()) exchange(0);
      replace_task();
      if (leaving()) return;  // it took a while
    }
    if (!look_for_work() && !leaving()) idle();
  }
}

// --- the task process ---

bool SubWorker::task_is_fit() {
  if (!task_ || !task_->is_sound()) return false;
  if (task_->jobs_served() == 0) return true;
  const std::int64_t rss = group_.max_rss > 0 ? sys::resident_bytes(task_->pid()) : 0;
  const std::string reason =
      reason_to_recycle({task_->jobs_served(), task_->age(), rss}, group_, task_max_jobs_);
  if (!reason.empty()) spdlog::debug("task process {} is replaced: {}", task_->pid(), reason);
  return reason.empty();
}

void SubWorker::replace_task() {
  show("starting its task process");
  {
    const sys::OutsideLogContext before;  // its last words are not the next job's
    if (task_) task_->shut_down(kShutDownGrace);
  }
  reporter_.task_ended();
  task_.emplace(group_, identity_.cgroup, &SubWorker::on_output);
  slot_.task_pid.store(task_->pid());
  reporter_.task_started(task_->pid());
  task_max_jobs_ = max_jobs_with_jitter(group_, sys::chance());
  // Less than what the supervisor grants us in all: it would kill us without a word on what is wrong.
  task_->greet(config_.supervisor.start_deadline * 9 / 10, [this] {
    tick();
    lend_connection();
  });
  reporter_.task_has(task_->description());
  if (!ready_) leash_.say(board::LeashWord::started, 0);
}

void SubWorker::on_output(Output::Stream stream, std::string_view line) {
  sys::log_output(stream == Output::Stream::out ? "stdout" : "stderr", line);
}

// --- looking for work ---

// Records what is kept, fetches and runs. False when there was nothing to run.
bool SubWorker::look_for_work() {
  tick();  // jobs may be so short, and the database so quick, that nothing ever waits
  slot_.doorbell.answer();
  // Behind the fence there is nothing to look for, until heartbeats are good again. For a lease that is gone
  // they never will be: the visit takes another.
  const bool fenced = fence_.is_up(session_.leased_since_ns()) && !fence_.lease_is_lost();
  const bool paused =
      fenced || slot_.command.load() == board::Command::pause || !refusals_.over(Clock::now());
  if (paused && unrecorded_.empty() && ready_) return false;
  const bool freed_lock = std::exchange(freed_lock_, false);
  const auto answer = exchange(paused ? 0 : 1);
  if (!answer) return false;
  if (!std::exchange(ready_, true)) leash_.say(board::LeashWord::ready, slot_.lease.load());
  slot_.counters.fetched += answer->jobs.size();
  // A job that was deferred behind a lock while we were freeing it may have been seen neither by its own
  // announcement's look nor by ours: both were before our commit. A look after it sees the job.
  if (freed_lock && answer->jobs.empty() && !paused) return look_for_work();
  if (answer->more || freed_lock) board::wake_sibling(board_, slot_.group.load());
  for (const sql::Job& job : answer->jobs) {
    run_job(job);
    if (left_behind_) throw LeftBehind(job);
  }
  return !answer->jobs.empty();
}

// An outcome that is refused takes its next form, of which there are few, and goes again.
std::optional<sql::Fetched> SubWorker::exchange(int max_jobs) {
  for (;;) {
    // What is to be left to people is settled first: the next job is fetched after the pause that follows.
    const bool settles = std::ranges::any_of(
        unrecorded_, [](const Unrecorded& outcome) { return outcome.kept().left_to_people; });
    auto visit = session_.visit(kept(), settles ? 0 : max_jobs);
    if (!visit) return std::nullopt;
    report(*visit);
    if (visit->refused.empty()) return std::move(visit->fetched);
  }
}

std::vector<KeptOutcome> SubWorker::kept() const {
  std::vector<KeptOutcome> kept;
  kept.reserve(unrecorded_.size());
  for (const Unrecorded& outcome : unrecorded_) kept.push_back(outcome.kept());
  return kept;
}

// What the database says of the outcomes: those that it tells of are settled, the refused ones take their
// next form. A death while the board is rewritten costs at most what any death of a sub-worker costs: the job
// counts as running.
void SubWorker::report(const Visit& visit) {
  for (const sql::Recorded& recorded : visit.recorded) {
    tell_disposition(recorded);
    if (recorded.disposition != sql::Disposition::reported) {
      refusals_.succeeded();
      continue;
    }
    refusals_.failed(Clock::now(), sys::chance());
    slot_.unrecorded_ns.store(board::now_ns());
  }
  const std::size_t entries = unrecorded_.size();
  std::erase_if(unrecorded_, [&](const Unrecorded& outcome) {
    return std::ranges::find(visit.recorded, outcome.outcome().job_id, &sql::Recorded::job_id) !=
           visit.recorded.end();
  });
  for (const RefusedOutcome& refused : visit.refused) {
    const auto outcome = std::ranges::find_if(
        unrecorded_, [&](const Unrecorded& each) { return each.outcome().job_id == refused.job_id; });
    const sys::LogFields fields({{"job", refused.job_id}});
    sys::log_of(sys::Component::job)
        .error("the database refuses the outcome of job {} ({}): {}", refused.job_id,
               sql::to_string(outcome->outcome().cause), refused.why);
    outcome->lower(refused.why);
  }
  for (std::size_t i = 0; i < unrecorded_.size(); ++i) write_on_board(i);
  for (std::size_t i = unrecorded_.size(); i < entries; ++i) slot_.jobs[i].phase.store(board::JobPhase::none);
}

void SubWorker::tell_disposition(const sql::Recorded& recorded) {
  const sys::LogFields fields({{"job", recorded.job_id}});
  auto& log = sys::log_of(sys::Component::job);
  switch (recorded.disposition) {
    case sql::Disposition::superseded:
      return log.warn("job {} could not wait again: superseded by job {}, which has the same queueing lock",
                      recorded.job_id, recorded.by.value_or(0));
    case sql::Disposition::gone:
      return log.warn(
          "job {} was no longer ours when it ended (rescued, finished by hand or deleted): outcome dropped",
          recorded.job_id);
    case sql::Disposition::reported:
      return log.error(
          "job {} has ended, but the database refuses to record it: it stays in doing and keeps its lock "
          "until "
          "somebody decides: `postpone stalled list`, then `postpone jobs finish {} --status succeeded` or "
          "`postpone stalled rescue {}`",
          recorded.job_id, recorded.job_id, recorded.job_id);
    default:
      return;
  }
}

// --- running ---

void SubWorker::run_job(const sql::Job& job) {
  board::JobEntry& entry = slot_.jobs[unrecorded_.size()];
  entry.job_id.store(job.id);
  entry.phase.store(board::JobPhase::held);
  slot_.enter(board::SlotState::running);
  if (task_->alive()) task_->pass_on_output();
  const sys::LogContext context(job.id, job.task, sql::next_attempt(job.attempts));
  freed_lock_ |= job.lock.has_value();
  reporter_.fetched(job);
  show(fmt::format("running {} (job {})", job.task, job.id));
  running_ = true;
  sql::Outcome outcome = may_start() ? execute(job, entry) : given_back(job);
  running_ = false;
  log_ending(job, outcome);
  count(outcome);
  if (outcome.action != sql::Action::release) reporter_.job_ended(job, outcome);
  if (std::exchange(taken_, false)) return entry.phase.store(board::JobPhase::none);
  keep(std::move(outcome));
}

// The answer to a fetch may have come late, and somebody else may run the job by now; and the task process
// may have died or lost its way while we waited, for which this job is not to blame.
//
// The fence is asked, set and asked again: whoever is stopped in between is killed by it, or finds it up.
bool SubWorker::may_start() {
  if (!task_->is_sound()) replace_task();
  if (fence_.is_up(session_.leased_since_ns())) return false;
  fence_.guard(session_.leased_since_ns());
  if (!fence_.is_up(session_.leased_since_ns())) return true;
  fence_.stand_down();
  return false;
}

sql::Outcome SubWorker::execute(const sql::Job& job, board::JobEntry& entry) {
  const auto* task = task_->description().find(job.task);
  if (!task) {
    fence_.stand_down();
    return unknown_task(job, task_->description(), group_.executable, group_.delete_jobs);
  }
  const auto time_limit = task->time_limit.count() > 0 ? task->time_limit : group_.time_limit;
  RunHooks hooks;
  hooks.on_tick = [&](std::chrono::nanoseconds) { return on_run_tick(); };
  hooks.on_progress = [&](std::uint64_t done, std::uint64_t total) {
    reporter_.progressed(job, done, total);
    show(fmt::format("running {} (job {}), {}/{}", job.task, job.id, done, total));
  };
  slot_.begin_run(entry);
  sys::crash_point("sub_worker.job_on_board");
  reporter_.job_started(job, time_limit);
  const Execution execution = task_->run(job, time_limit, hooks);
  left_behind_ = task_->survived();  // before the lock of the job can be free
  fence_.stand_down();
  taken_ = execution.stop == StopReason::taken;
  if (taken_) return taken_away(job, execution);
  return decide(job, execution, *task, group_.delete_jobs);
}

std::optional<RunHooks::Stop> SubWorker::on_run_tick() {
  tick();
  reporter_.weigh_task(task_->jobs_served(), false);
  lend_connection();
  if (fence_.is_up(session_.leased_since_ns())) return RunHooks::Stop{StopReason::fenced, true};
  fence_.guard(session_.leased_since_ns());
  if (const auto wish = slot_.stop_wish())
    return *wish == board::StopWish::taken ? RunHooks::Stop{StopReason::taken, true}
                                           : RunHooks::Stop{StopReason::requested};
  if (!leaving() || !leaving_since_) return std::nullopt;
  if (leaving_now()) return RunHooks::Stop{StopReason::shutdown, true};
  if (Clock::now() - *leaving_since_ > config_.supervisor.shutdown_grace)
    return RunHooks::Stop{StopReason::shutdown};
  return std::nullopt;
}

// Who does not need its connection for a while gives it to somebody who waits for one.
void SubWorker::lend_connection() {
  const bool wanted = session_.connected() && board::someone_waits_for_permit(board_);
  if (wanted || session_.connection_is_surplus()) session_.give_up_connection();
}

void SubWorker::keep(sql::Outcome outcome) {
  unrecorded_.emplace_back(std::move(outcome));
  write_on_board(unrecorded_.size() - 1);
}

void SubWorker::write_on_board(std::size_t index) {
  board::JobEntry& entry = slot_.jobs[index];
  const KeptOutcome& kept = unrecorded_[index].kept();
  const bool fits = kept.text.size() <= sizeof entry.outcome;
  if (entry.phase.load() == board::JobPhase::ended)  // its text changes
    entry.phase.store(board::JobPhase::running);
  if (fits) std::memcpy(entry.outcome, kept.text.data(), kept.text.size());
  entry.job_id.store(kept.job_id);
  entry.outcome_bytes.store(fits ? static_cast<std::uint32_t>(kept.text.size()) : 0);
  entry.phase.store(board::JobPhase::ended);
  sys::crash_point("sub_worker.outcome_on_board");
}

void SubWorker::count(const sql::Outcome& outcome) {
  board::Counters& counters = slot_.counters;
  if (outcome.action == sql::Action::succeed) ++counters.succeeded;
  if (outcome.action == sql::Action::retry) ++counters.retried;
  if (outcome.action == sql::Action::fail) ++counters.failed;
  if (outcome.cause == sql::Cause::signalled || outcome.cause == sql::Cause::exited) ++counters.crashed;
}

// --- idling ---

// Whoever wakes sub-workers picks those that are idle. One that does not fetch for a while must not swallow
// their rings, nor keep a connection of which others cannot see that it is not needed.
void SubWorker::lie_down() {
  if (refusals_.over(Clock::now())) return slot_.enter(board::SlotState::idle);
  slot_.enter(board::SlotState::looking);
  session_.give_up_connection();
}

void SubWorker::idle() {
  show("idle");
  lie_down();
  // After that, and not before: who waits for a permit asks those that are idle, and did not find us among
  // them until now.
  lend_connection();
  task_->kill_leftovers();
  auto until = Clock::now() + config_.supervisor.polling_interval;
  if (!refusals_.over(Clock::now())) until = std::min(until, refusals_.until());
  // Several signs of life within the time after which we would be taken for dead.
  const auto slice = std::min<std::chrono::nanoseconds>(kIdleSlice, config_.supervisor.subworker_timeout / 4);
  while (Clock::now() < until && !leaving()) {
    slot_.doorbell.wait(std::min<std::chrono::nanoseconds>(slice, until - Clock::now()));
    tick();
    task_->pass_on_output();
    if (task_->has_ended())
      reporter_.task_ended();
    else
      reporter_.weigh_task(task_->jobs_served(), true);
    if (!slot_.doorbell.is_rung()) {
      task_->kill_leftovers();
      continue;
    }
    if (slot_.doorbell.is_rung_for(board::kRungForWork))
      reporter_.woken(slot_.doorbell.rung_ns(), slot_.since_ns.load());
    // First this, then the answer: who sees us idle and not rung may rely on it (the supervisor, with
    // --one-shot).
    slot_.enter(board::SlotState::looking);
    const std::uint32_t rung = slot_.doorbell.answer();
    if ((rung & board::kRungForPermit) != 0) session_.give_up_connection();
    if ((rung & (board::kRungForWork | board::kRungForCommand)) != 0) return;
    lie_down();
  }
}

void SubWorker::tick() {
  board_.check_slot(identity_.slot, identity_.generation, group_.name);
  slot_.beat();
  log_follower_.look();
  if (!running_) refuse_questions();
  leaving();  // notes the moment
}

// --- leaving ---

bool SubWorker::leaving() {
  if (leaving_since_) return true;
  const board::Command command = slot_.command.load();
  const bool told = command == board::Command::drain || command == board::Command::stop_now;
  if (!told && requests_to_leave() == 0 && !leash_.supervisor_gone()) return retired();
  leaving_since_ = Clock::now();
  return true;
}

// Nobody else is waiting for us: no grace is counted, for a job or for its outcome.
bool SubWorker::retired() const {
  return slot_.command.load() == board::Command::leave;
}

bool SubWorker::leaving_now() const {
  return slot_.command.load() == board::Command::stop_now || requests_to_leave() > 1;
}

bool SubWorker::gives_up(bool pending) {
  if (!leaving()) return false;
  if (!pending) return true;
  if (!leaving_since_) return false;
  const auto limit =
      leaving_now() ? Clock::duration(kStoreNowLimit) : Clock::duration(config_.supervisor.shutdown_grace);
  return Clock::now() - *leaving_since_ > limit;
}

board::SubWorkerExit SubWorker::leave() {
  slot_.enter(board::SlotState::stopping);
  show("leaving");
  let_a_sibling_look();
  if (!unrecorded_.empty()) exchange(0);
  const bool gone = unrecorded_.empty() && session_.leave();
  let_a_sibling_look();  // both may have answered the bell; what rings from now on is the supervisor's
  if (task_) task_->shut_down(kShutDownGrace);
  for (const Unrecorded& unrecorded : unrecorded_) {
    const sql::Outcome& outcome = unrecorded.outcome();
    const sys::LogFields fields({{"job", outcome.job_id}});
    sys::log_of(sys::Component::job)
        .error("job {} ended ({}: {}) and could not be recorded: it will be rescued as a stalled job",
               outcome.job_id, sql::to_string(outcome.cause), outcome.message);
  }
  if (!gone) return board::SubWorkerExit::internal_error;
  spdlog::debug("left");
  return board::SubWorkerExit::done;
}

// Whoever rang for work before it knew that we leave may have been answered, and is not looked after.
void SubWorker::let_a_sibling_look() const {
  board::wake_sibling(board_, slot_.group.load());
}

void SubWorker::show(const std::string& activity) const {
  sys::set_process_title(fmt::format("sub-worker {}: {}", identity_.name, activity));
}

}  // namespace postpone::subworker
