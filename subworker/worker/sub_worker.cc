#include "subworker/worker/sub_worker.h"

#include <algorithm>
#include <utility>

#include "board/wake.h"
#include "subworker/task/job_look.h"
#include "subworker/task/outcome.h"
#include "subworker/worker/outcome_log.h"
#include "sys/cgroup.h"
#include "sys/logger.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

static_assert(config::kMaxPrefetch <= static_cast<int>(board::kJobsPerSlot));
// The heartbeat on the board while idle; it also bounds what a step of the wall clock can cost.
constexpr auto kIdleSlice = 1s;
// What comes soon after a start is likely to be of the same burst, and is not kept waiting for a rehearsal.
constexpr auto kRestBeforeRehearsal = 100ms;
// Ordered to stop now: how long an outcome may still take to be stored.
constexpr auto kStoreNowLimit = 2s;

}  // namespace

SubWorker::SubWorker(const config::Config& config, const config::Group& group, const board::Board& board,
                     Identity identity, Leash leash, board::Ledger ledger)
    : config_(config),
      group_(group),
      board_(board),
      identity_(std::move(identity)),
      leash_(std::move(leash)),
      reporter_(board.header(), slot(), identity_.name),
      log_follower_(board),
      session_(config, group, board, identity_,
               {.on_tick =
                    [this] {
                      tick();
                      set_run_.attend();
                      set_run_.permits().rest(held_);
                    },
                .watched_fd = [this] { return set_run_.attended_fd(); },
                .gives_up = [this](bool pending) { return gives_up(pending); },
                .on_lease = [this](sql::WorkerId id) { leash_.say(board::LeashWord::leased, id); },
                .full_tasks = [this] { return set_run_.permits().full_tasks(held_); }}),
      fence_(slot(), config.supervisor, leash_.exists()),
      tasks_(config, group, identity_.cgroup, std::move(ledger), slot(), reporter_),
      held_(slot()),
      set_run_({config, group, slot(), leaving_, reporter_, session_, fence_, tasks_, held_},
               TaskPermits(board, {identity_.slot, identity_.generation}),
               {.on_tick = [this] { tick(); },
                .replace_task = [this] { replace_task(); },
                .may_fetch = [this] { return may_fetch(); },
                .on_recorded =
                    [this](const std::vector<sql::Recorded>& outcomes) {
                      settled(outcomes);
                      let_a_sibling_look();
                    },
                .is_a_sibling_free = [this] { return board::is_anyone_free(board_, slot().group.load()); },
                .on_fetched_ahead =
                    [this](Visit& visit) {
                      const bool freed_lock = held_.take_freed_lock();
                      settled(visit.recorded);
                      take(visit.fetched, freed_lock);
                    }}) {}

board::SubWorkerExit SubWorker::run() {
  try {
    slot().enter(board::SlotState::starting);
    tick();
    // The kernel keeps the limit exactly, where it can; what weighs the task now and then does so everywhere.
    if (!identity_.cgroup.empty()) sys::limit_cgroup_memory(identity_.cgroup, group_.memory_limit);
    work();
    return leave();
  } catch (const BadTask& error) {
    sys::log.error("{}", error.what());
  } catch (const sys::SpawnError& error) {
    sys::log.error("{}", error.what());
  } catch (const LeftBehind& error) {
    sys::log.error("{}", error.what());
    return board::SubWorkerExit::internal_error;
  } catch (const sql::DatabaseError& error) {
    sys::log.error("database: {}", error.what());
    return board::SubWorkerExit::bad_schema;
  }
  return board::SubWorkerExit::bad_task;
}

void SubWorker::work() {
  bool rested = false;  // it was idle since the last look for work
  while (!leaving()) {
    if (!tasks_.is_fit()) {
      // First what has ended: its lock is free at once, and the next job stays where others can take it
      // meanwhile.
      if (held_.has_unrecorded()) exchange(0, false);
      set_run_.permits().keep_needed(held_);  // it may take a while
      replace_task();
      if (leaving()) return;
    }
    if (look_for_work(std::exchange(rested, false)) || leaving()) continue;
    idle();
    rested = true;
  }
}

void SubWorker::replace_task() {
  tasks_.replace([this] {
    tick();
    session_.lend_connection();
  });
  const auto& description = tasks_.process().description();
  set_run_.permits().learn(description);
  session_.forget_left([&](const std::string& task) { return description.find(task) != nullptr; });
  if (!ready_) leash_.say(board::LeashWord::started, 0);
}

// --- looking for work ---

// Records what has ended, fetches and runs. False when there was nothing to run.
bool SubWorker::look_for_work(bool rested) {
  tick();  // jobs may be so short, and the database so quick, that nothing ever waits
  slot().doorbell.answer();
  const bool fetches = may_fetch();
  if (!fetches) set_run_.permits().keep_needed(held_);
  if (!fetches && !held_.has_unrecorded() && ready_) return false;
  const bool freed_lock = held_.take_freed_lock();
  auto answer = exchange(fetches ? size_of_set(rested) : 0, rested);
  if (!answer) return false;
  if (!std::exchange(ready_, true)) leash_.say(board::LeashWord::ready, slot().lease.load());
  // A job that was deferred behind a lock while we were freeing it may have been seen neither by its own
  // announcement's look nor by ours: both were before our commit. A look after it sees the job.
  if (freed_lock && answer->jobs.empty() && fetches) return look_for_work(false);
  const auto jobs = static_cast<int>(answer->jobs.size());
  take(*answer, freed_lock);
  if (jobs == 0) return false;
  set_run_.run(jobs);
  return true;
}

// A sibling looks for what is left, and for what waits behind a lock that was freed.
void SubWorker::take(sql::Fetched& fetched, bool freed_lock) {
  slot().counters.fetched += fetched.jobs.size();
  const auto horizon = Clock::now() + group_.prefetch_horizon;
  for (sql::Job& job : fetched.jobs) held_.hold(std::move(job), horizon);
  set_run_.permits().keep_needed(held_);
  if (freed_lock || (fetched.more && !set_run_.permits().are_used_up_by(held_)))
    board::wake_sibling(board_, slot().group.load());
}

// After a rest a single job waits, as a rule, and it waits for us: the database is not asked how many there
// are for each of the siblings that rest, too. Where there are more the answer says so, and the next look is
// for a set.
int SubWorker::size_of_set(bool rested) const {
  const bool has_sharers = board::count_sharers(board::view(board_), slot().group.load()) > 1;
  return rested && has_sharers ? 1 : set_run_.size();
}

// Behind the fence there is nothing to look for until heartbeats are good again. For a lease that is gone
// they never will be: the visit takes another.
bool SubWorker::may_fetch() const {
  const bool fenced = fence_.is_up(session_.leased_since_ns()) && !fence_.lease_is_lost();
  return !fenced && slot().command.load() != board::Command::pause && refusals_.over(Clock::now());
}

// An outcome that is refused takes its next form, of which there are few, and goes again.
std::optional<sql::Fetched> SubWorker::exchange(int max_jobs, bool from_top) {
  for (;;) {
    std::vector<SentOutcome> outcomes = held_.unrecorded();
    // What is to be left to people is settled first: the next job is fetched after the pause that follows.
    const bool settles = std::ranges::any_of(outcomes, &SentOutcome::left_to_people);
    auto visit = session_.visit(
        std::move(outcomes),
        {.max_jobs = settles ? 0 : max_jobs, .slow_tasks = set_run_.slow_tasks(), .from_top = from_top});
    if (!visit) return std::nullopt;
    settled(visit->recorded);
    for (const RefusedOutcome& refused : visit->refused)
      log_refusal(refused.job_id, held_.refused(refused.job_id, refused.why), refused.why);
    if (!visit->refused.empty()) continue;
    if (max_jobs > 0 && !settles) set_run_.answered(visit->took, visit->fetched.more);
    return std::move(visit->fetched);
  }
}

void SubWorker::settled(const std::vector<sql::Recorded>& outcomes) {
  for (const sql::Recorded& recorded : outcomes) {
    // A release that was sent again, because its first answer was lost.
    const bool is_repeated =
        recorded.disposition == sql::Disposition::gone && held_.is_given_back(recorded.job_id);
    if (!is_repeated) log_disposition(recorded);
    held_.recorded(recorded.job_id);
    if (recorded.disposition != sql::Disposition::reported) {
      refusals_.succeeded();
      continue;
    }
    refusals_.failed(Clock::now(), sys::chance());
    slot().unrecorded_ns.store(board::now_ns());
  }
}

// --- idling ---

// wake() rings idle sub-workers only. One that does not fetch for a while must not swallow their rings, nor
// keep a connection, because others cannot see then that it is not needed.
void SubWorker::lie_down() {
  if (refusals_.over(Clock::now())) return slot().enter(board::SlotState::idle);
  slot().enter(board::SlotState::looking);
  session_.give_up_connection();
}

void SubWorker::idle() {
  reporter_.does("idle");
  lie_down();
  // After that, and not before: a sub-worker that waits for a permit asks those that are idle, and did not
  // find us among them until now.
  session_.lend_connection();
  tasks_.sweep();
  auto until = Clock::now() + config_.supervisor.polling_interval;
  if (!refusals_.over(Clock::now())) until = std::min(until, refusals_.until());
  // Several signs of life within the time after which the supervisor would take us for dead.
  const auto slice = std::min<std::chrono::nanoseconds>(kIdleSlice, config_.supervisor.subworker_timeout / 4);
  const auto rested = Clock::now() + kRestBeforeRehearsal;
  while (Clock::now() < until && !leaving()) {
    const auto next = session_.wants_rehearsal() ? std::min(until, rested) : until;
    slot().doorbell.wait(std::clamp<std::chrono::nanoseconds>(next - Clock::now(), 0ns, slice));
    tick();
    tasks_.look();
    if (!slot().doorbell.is_rung()) {
      if (session_.wants_rehearsal() && Clock::now() >= rested) session_.rehearse();
      tasks_.sweep();
      continue;
    }
    if (slot().doorbell.is_rung_for(board::kRungForWork))
      reporter_.woken(slot().doorbell.rung_ns(), slot().since_ns.load());
    // First this, then the answer: a process that sees us idle and not rung may rely on it (the supervisor,
    // with --one-shot).
    slot().enter(board::SlotState::looking);
    const std::uint32_t rung = slot().doorbell.answer();
    if ((rung & board::kRungForPermit) != 0) session_.give_up_connection();
    if ((rung & (board::kRungForWork | board::kRungForCommand)) != 0) return;
    lie_down();
  }
}

void SubWorker::tick() {
  board_.check_slot(identity_.slot, identity_.generation, group_.name);
  slot().beat();
  log_follower_.look();
  if (!held_.has_unended()) refuse_questions();
  leaving();  // notes the moment
}

// --- leaving ---

bool SubWorker::leaving() {
  leaving_.look(leave_signs(slot().command.load(), leash_), Clock::now());
  return leaving_.is_ordered();
}

bool SubWorker::gives_up(bool pending) {
  if (!leaving()) return false;
  if (!pending) return true;
  const auto limit = leaving_.stops_now() ? Clock::duration(kStoreNowLimit)
                                          : Clock::duration(config_.supervisor.shutdown_grace);
  return leaving_.has_drained_for(limit, Clock::now());
}

board::SubWorkerExit SubWorker::leave() {
  slot().enter(board::SlotState::stopping);
  reporter_.does("leaving");
  set_run_.permits().keep_needed(held_);
  let_a_sibling_look();
  if (held_.has_unrecorded()) exchange(0, false);
  const bool gone = !held_.has_unrecorded() && session_.leave();
  let_a_sibling_look();  // both may have answered the bell; what rings from now on is the supervisor's
  tasks_.shut_down();
  for (const HeldJob& held : held_.all())
    if (held.outcome) log_unrecorded(held.outcome->outcome());
  if (!gone) return board::SubWorkerExit::internal_error;
  sys::log.debug("left");
  return board::SubWorkerExit::done;
}

// A ring for work that came before the ringer knew that we leave may have been answered without a look.
void SubWorker::let_a_sibling_look() const {
  board::wake_sibling(board_, slot().group.load());
}

}  // namespace postpone::subworker
