#include "subworker/housekeeper/housekeeper.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "board/wake.h"
#include "subworker/family/signals.h"
#include "subworker/task/describe.h"
#include "subworker/task/task_process.h"
#include "sys/crash_point.h"
#include "sys/log.h"
#include "sys/process_title.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

using Milliseconds = std::chrono::milliseconds;

constexpr Milliseconds kShortestWait{50};
constexpr auto kSlice = 1s;  // the heartbeat on the board; bounds what a step of the wall clock can cost
constexpr auto kLateCommit =
    5s;  // a transaction may commit so long after it scheduled a job, and the job is not overlooked
constexpr auto kLeavingSlice = 100ms;
constexpr auto kLastDuties = 2s;     // told to leave: to settle what the last ones left, whatever the grace
constexpr auto kOrphanSilence = 5s;  // a living sub-worker shows itself every second at least
// Between two looks for jobs that have to stop, however often somebody rings for that.
constexpr auto kStopPause = 20ms;

// Thrown out of a task executable's answer that is waited for.
struct Leaves {};

}  // namespace

Housekeeper::Housekeeper(const config::Config& config, const board::Board& board, Leash leash)
    : config_(config),
      board_(board),
      leash_(std::move(leash)),
      header_(board.header()),
      log_follower_(board),
      reporter_(header_, !config.status.socket.empty()),
      rescuer_(config, board, reporter_),
      backoff_(kShortestWait, 400ms),
      refused_(500ms, 10s),
      duties_(duties()),
      asking_pause_(500ms, 60s),
      locked_backoff_(std::min<Milliseconds>(config.supervisor.heartbeat_interval / 10, 100ms),
                      config.supervisor.heartbeat_interval),
      stop_pause_(kStopPause, std::max(kStopPause, config.supervisor.polling_interval)) {
  unasked_.resize(config.groups.size());
  std::iota(unasked_.begin(), unasked_.end(), 0);
}

// Heartbeats first: everybody who works here depends on them, and the others may have to wait for a lock.
std::vector<Housekeeper::Duty> Housekeeper::duties() {
  const sys::Pause soon(
      {kShortestWait, std::max<Milliseconds>(config_.supervisor.heartbeat_interval / 8, kShortestWait)});
  const sys::Pause later({kShortestWait, 5s});
  using H = Housekeeper;
  return {{"heartbeats", &H::keep_heartbeats, &H::heartbeats_due, soon},
          {"jobs to stop", &H::stop_jobs, &H::stop_look_due, soon},
          {"graves", &H::settle_graves, &H::graves_due, later},
          {"stalled jobs", &H::watch_stalled, &H::watch_due, later},
          {"scheduled jobs", &H::watch_due_jobs, &H::due_jobs_due, later},
          {"periodic tasks", &H::defer_periodic, &H::tick_due, later},
          {"queue depths", &H::look_at_queues, &H::look_at_queues_due, later}};
}

board::SubWorkerExit Housekeeper::run() {
  leash_.say(board::LeashWord::started, 0);
  while (!replaced() && !may_leave()) {
    answer_bell();  // first: whatever is rung for from here on is looked after in the next round
    try {
      if (!manager_) connect();
      round();
      learn_schedules();  // after the first heartbeats: it may take a while
      note_end_of_outage();
      show("waiting");
      wait(until_next_round());
    } catch (const sql::DatabaseError& error) {
      if (error.remedy() != sql::Remedy::retry) {
        manager_.reset();
        reporter_.disconnected();
      }
      reporter_.failed(error.what());
      if (const auto line = outage_.failed(error.what(), Clock::now()); !line.empty())
        sys::log_of(sys::Component::database).warn("database: {}", line);
      const bool refused = !manager_ && error.remedy() == sql::Remedy::bug;
      wait((refused ? refused_ : backoff_).next(sys::chance()));
    }
  }
  return board::SubWorkerExit::done;
}

void Housekeeper::answer_bell() {
  const std::uint32_t reasons = header_.housekeeper_doorbell.answer();
  if ((reasons & board::kRungForWork) != 0) look_for_due(kLateCommit);
  if ((reasons & board::kRungForAborts) != 0) look_for_stops();
}

// What is left undone stands on the board and in the database, for the one that follows.
bool Housekeeper::replaced() const {
  return header_.housekeeper_command.load() == board::Command::leave && !leash_.supervisor_gone();
}

void Housekeeper::note_end_of_outage() {
  backoff_.reset();
  refused_.reset();
  if (const auto line = outage_.ended(Clock::now()); !line.empty())
    sys::log_of(sys::Component::database).info("the database {}", line);
}

// The supervisor has checked the task executables before anything was started. One that cannot be asked now
// (no process to be had, a file that is being replaced, an answer that takes too long) is asked again, with
// growing waits; one that gives a wrong answer gives it again. Meanwhile, and then, its schedules do not
// tick, which the status socket tells. An executable may take its time to answer, and the house is kept
// meanwhile.
void Housekeeper::learn_schedules() {
  if (unasked_.empty() || Clock::now() < next_asking_) return;
  std::string trouble;
  try {
    for (std::size_t i = 0; i < unasked_.size();) {
      const config::Group& group = config_.groups[unasked_[i]];
      try {
        periodic_.add(ask(group));
      } catch (const sql::DatabaseError&) {
        throw;  // of the house that was kept meanwhile
      } catch (const TaskNotAsked& error) {
        trouble = fmt::format("group {}: {}", group.name, error.what());
        ++i;
        continue;
      } catch (const sys::SpawnError& error) {  // a user that is not there
        trouble = fmt::format("group {}: {}", group.name, error.what());
        ++i;
        continue;
      } catch (const std::runtime_error& error) {
        wrong_schedules_ = fmt::format("group {}: {}", group.name, error.what());
      }
      unasked_.erase(unasked_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  } catch (const Leaves&) {
    return;
  }
  periodic_.start(std::chrono::floor<std::chrono::seconds>(server_now()));
  next_asking_ = Clock::now() + asking_pause_.next(sys::chance());
  tell_of_schedules(trouble);
}

// Throws Leaves, and what goes wrong in the house meanwhile.
libtask::wire::Description Housekeeper::ask(const config::Group& group) {
  return describe(group, [this] {
    tick();
    if (replaced() || may_leave()) throw Leaves();
    answer_bell();
    if (until_next_round() == 0ns || look_back_) round();
  });
}

void Housekeeper::tell_of_schedules(const std::string& passing) {
  const std::string& trouble = passing.empty() ? wrong_schedules_ : passing;
  reporter_.schedules_trouble(trouble);
  if (std::exchange(asking_trouble_, trouble) == trouble) return;
  if (trouble.empty()) return spdlog::info("all periodic tasks are deferred again");
  spdlog::error("{}: its periodic tasks are not deferred{}", trouble,
                passing.empty() ? "" : "; asking again until it answers");
}

void Housekeeper::connect() {
  show("connecting");
  sql::ConnectOptions options;
  options.url = config_.database.url;
  options.application_name = "postpone housekeeper";
  options.connect_timeout = config_.database.connect_timeout;
  // Shorter than anybody's patience with our heartbeats: a rescue may meet a lock that somebody keeps.
  options.statement_timeout =
      std::min(config_.database.statement_timeout, config_.supervisor.heartbeat_interval / 2);
  options.on_tick = [this] { tick(); };
  manager_.emplace(sql::JobManager::connect(options));
  reporter_.connected(manager_->server_version());
  server_time_ = manager_->server_time();
  server_time_at_ = Clock::now();
  // Another server (after a failover) may have another idea of the time.
  due_seen_ = due_seen_ ? std::min(*due_seen_, server_now()) : server_now();
  look_for_due(kLateCommit);  // what was scheduled while we were away
  look_for_stops();
  next_heartbeat_ = Clock::now();
  rescuer_.connected(Clock::now());
  for (Duty& duty : duties_) duty.pause.succeeded();  // what failed may have been the connection's fault
  if (!std::exchange(ready_, true)) leash_.say(board::LeashWord::ready, 0);
}

void Housekeeper::round() {
  show("keeping house");
  for (Duty& duty : duties_)
    if (duty.pause.over(Clock::now())) do_duty(duty);
}

// A duty that cannot be done whatever we try (a mistake in the data, or ours) does not keep the others from
// being done.
void Housekeeper::do_duty(Duty& duty) {
  try {
    (this->*duty.keep)();
    duty.pause.succeeded();
    duty.said.clear();
  } catch (const sql::DatabaseError& error) {
    if (error.remedy() == sql::Remedy::reconnect) throw;
    duty.pause.failed(Clock::now(), sys::chance());
    const std::string fault = fmt::format("{}: {}", duty.name, error.what());
    reporter_.failed(fault);
    if (fault != duty.said) spdlog::error("cannot do, and will try again: {}", fault);
    duty.said = fault;
  }
}

// --- heartbeats ---

// Those of the living; whoever has lost his is told so, and takes another.
std::vector<sql::WorkerId> Housekeeper::leases() const {
  std::vector<sql::WorkerId> ids;
  const std::uint32_t slots = board_.slots();
  for (std::uint32_t i = 0; i < slots; ++i) {
    const board::Slot& slot = board_.slot(i);
    const auto id = slot.lease.load();
    if (id != 0 && slot.lost_lease.load() != id) ids.push_back(id);
  }
  return ids;
}

// Once the supervisor is gone nobody buries the dead, and heartbeats must not keep their leases, and locks,
// alive. Who is silent on the board gets none any more. Whoever lives after all is fenced by the same word,
// before others take the job.
void Housekeeper::disown_silent() {
  const std::uint32_t slots = board_.slots();
  for (std::uint32_t i = 0; i < slots; ++i) {
    board::Slot& slot = board_.slot(i);
    const auto lease = slot.lease.load();
    const std::chrono::nanoseconds silent(board::now_ns() - slot.heartbeat_ns.load());
    if (lease == 0 || slot.lost_lease.load() == lease || silent < kOrphanSilence) continue;
    slot.lost_lease.store(lease);
    spdlog::warn(
        "lease {} of slot {} gets no heartbeats any more: no sign of life, and no supervisor to see why",
        lease, i);
  }
}

void Housekeeper::keep_heartbeats() {
  if (Clock::now() < next_heartbeat_) return;
  const auto begun = board::boot_ns();
  const auto heartbeats = manager_->heartbeat(leases());
  sys::crash_point("housekeeper.heartbeat_committed");
  reporter_.heartbeat_committed();
  note_heartbeats(heartbeats, begun);
  report_locked(heartbeats.locked);
  rescuer_.heartbeat_stored(Clock::now());
  // What is locked for a moment only must not cost a whole interval: the lease has to be heard of before
  // fence_after.
  Clock::duration pause = config_.supervisor.heartbeat_interval;
  if (heartbeats.locked.empty())
    locked_backoff_.reset();
  else
    pause = locked_backoff_.next(sys::chance());
  next_heartbeat_ = Clock::now() + pause;
}

// A lease that ended well in this moment is no longer on the board; one that was registered since the
// statement began was not in it, and is passed over.
void Housekeeper::note_heartbeats(const sql::Heartbeats& heartbeats, std::int64_t begun_ns) {
  const std::uint32_t slots = board_.slots();
  for (std::uint32_t i = 0; i < slots; ++i) {
    board::Slot& slot = board_.slot(i);
    const auto lease = slot.lease.load();
    if (std::ranges::binary_search(heartbeats.gone, lease)) report_lost(slot, i, lease);
    if (!std::ranges::binary_search(heartbeats.stored, lease)) continue;
    // Who was rung meanwhile may have found itself fenced, and did not look. Of a lease that is heard of for
    // the first time it is not known here when it was taken.
    const auto before = slot.good_since(lease);
    slot.note_good_lease(lease, begun_ns);
    const std::chrono::nanoseconds unsure(board::boot_ns() - before);
    if (before == 0 || unsure > config_.supervisor.fence_after) slot.doorbell.ring(board::kRungForWork);
  }
}

void Housekeeper::report_lost(board::Slot& slot, std::uint32_t index, sql::WorkerId lease) const {
  if (slot.lost_lease.exchange(lease) == lease) return;
  slot.doorbell.ring(board::kRungForWork);  // to take another
  spdlog::warn("lease {} of slot {} is gone from the database: somebody held its sub-worker for dead", lease,
               index);
}

// Each once, for as long as the lock lasts, and not for a lock of a moment: a sub-worker that renews its
// lease, or `jobs finish`, holds one too.
void Housekeeper::report_locked(const std::vector<sql::WorkerId>& leases) {
  std::map<sql::WorkerId, int> misses;
  for (const sql::WorkerId lease : leases) {
    const int missed = misses[lease] = missed_heartbeats_[lease] + 1;
    if (missed != 2) continue;
    spdlog::warn(
        "lease {} gets no heartbeats: another session has locked its row of procrastinate_workers. Its "
        "sub-worker stops "
        "its job unless that ends before fence_after; the others go on",
        lease);
  }
  missed_heartbeats_ = std::move(misses);
}

// --- the dead and the silent ---

void Housekeeper::settle_graves() {
  rescuer_.settle_graves(*manager_, Clock::now());
}

void Housekeeper::watch_stalled() {
  rescuer_.watch_stalled(*manager_, Clock::now());
}

// --- scheduled jobs ---

// A job becomes due without anybody saying so: the housekeeper knows the earliest due time and sleeps until
// then. It asks anew when that time has come, and when the supervisor heard that a job was scheduled. A
// transaction may commit after the time for which it scheduled a job, so that question looks back a little.
void Housekeeper::look_for_due(std::chrono::seconds back) {
  look_back_ = std::max(look_back_.value_or(back), back);
}

void Housekeeper::watch_due_jobs() {
  if (next_due_ && Clock::now() >= next_due_at_) {
    wake_for(next_due_->queues);
    // The wait for a distant time is cut, and then nothing is due yet.
    due_seen_ = std::min(next_due_->due_at, server_now());
    next_due_.reset();
    look_for_due(0s);
  }
  if (!look_back_) return;
  next_due_ = manager_->next_due(*due_seen_ - *look_back_);
  if (next_due_ && next_due_->due_in.count() <= 0) {
    // Overdue, and perhaps not alone: a look of each group finds whatever is due by now, and rings on.
    wake_everybody();
    due_seen_ = next_due_->due_at - std::chrono::duration_cast<sql::SystemTime::duration>(next_due_->due_in);
    next_due_ = manager_->next_due(due_seen_);
  }
  if (next_due_) next_due_at_ = Clock::now() + std::chrono::ceil<Clock::duration>(next_due_->due_in);
  look_back_.reset();  // last: an error before leaves the question open
}

void Housekeeper::wake_everybody() {
  for (const config::Group& group : config_.groups) board::wake(board_, std::span(&group.name, 1), 1);
}

void Housekeeper::wake_for(const std::vector<std::string>& queues) {
  for (const std::string& queue : queues) board::wake(board_, config_.groups_serving(queue), 1);
}

// --- periodic tasks ---

// The server's clock, as it was at the last connect and has gone on since: steps of this host's clock do not
// matter.
sql::SystemTime Housekeeper::server_now() const {
  return server_time_ + std::chrono::duration_cast<sql::SystemTime::duration>(Clock::now() - server_time_at_);
}

// A tick leaves the list when the database has answered for it. One that an error of the connection came
// between is deferred again, and counts once all the same.
void Housekeeper::defer_periodic() {
  for (sql::PeriodicDefer& tick : periodic_.take_due(std::chrono::floor<std::chrono::seconds>(server_now())))
    ticks_.push_back(std::move(tick));
  for (; !ticks_.empty(); ticks_.pop_front()) {
    const sql::PeriodicDefer& defer = ticks_.front();
    try {
      if (const auto id = manager_->defer_periodic(defer)) {
        const sys::LogFields fields({{"job", *id}, {"task", defer.job.task}});
        spdlog::info("deferred periodic task {} as job {}", defer.job.task, *id);
      }
      sys::crash_point("housekeeper.tick_deferred");
    } catch (const sql::AlreadyEnqueued& error) {
      spdlog::info("periodic task {}: {}", defer.job.task, error.what());
    } catch (const sql::DatabaseError& error) {
      const bool passing = error.remedy() != sql::Remedy::bug && error.remedy() != sql::Remedy::conflict;
      if (passing) throw;
      spdlog::error("periodic task {} is not deferred: {}", defer.job.task, error.what());
    }
  }
}

// --- jobs that have to stop ---

// A notification hints that some job has to stop. Anybody can send one, and it may come before the runner has
// read the answer to its fetch and written the job on the board. So the database is asked at once, and again
// with growing waits, up to the polling interval, which also heals hints that were lost.
void Housekeeper::look_for_stops() {
  stop_pause_.reset();
  next_stop_look_ = std::min(next_stop_look_, std::max(Clock::now(), stops_looked_at_ + kStopPause));
}

void Housekeeper::stop_jobs() {
  const auto now = Clock::now();
  if (now < next_stop_look_) return;
  stops_looked_at_ = now;
  const std::vector<board::RunningJobView> views = board::running_jobs(board_);
  std::vector<sql::RunningJob> running;
  running.reserve(views.size());
  for (const board::RunningJobView& view : views) running.push_back({view.lease, view.job_id});
  if (!running.empty()) {
    for (const sql::JobToStop& stop : manager_->jobs_to_stop(running))
      for (const board::RunningJobView& view : views)
        if (view.job_id == stop.job.job_id && view.lease == stop.job.worker_id)
          board::request_stop(board_, view, stop.is_held ? board::StopWish::abort : board::StopWish::taken);
  }
  next_stop_look_ = now + stop_pause_.next(sys::chance());  // last: an error before leaves the question open
}

// --- telling ---

void Housekeeper::look_at_queues() {
  reporter_.look_at_queues(*manager_, Clock::now());
}

// --- waiting ---

Housekeeper::Clock::time_point Housekeeper::due_jobs_due() const {
  if (look_back_) return {};
  return next_due_ ? next_due_at_ : Clock::time_point::max();
}

Housekeeper::Clock::time_point Housekeeper::tick_due() const {
  if (!ticks_.empty()) return {};
  const auto tick = periodic_.next_tick();
  if (!tick) return Clock::time_point::max();
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(*tick - server_now());
}

// A duty that has failed is due when its pause is over, and not before.
Housekeeper::Clock::duration Housekeeper::until_next_round() const {
  auto next = Clock::time_point::max();
  for (const Duty& duty : duties_) {
    const bool has_failed = duty.pause.failures() > 0;
    next = std::min(next, has_failed ? duty.pause.until() : (this->*duty.due)());
  }
  if (!unasked_.empty()) next = std::min(next, next_asking_);
  return std::max(Clock::duration(0), next - Clock::now());
}

void Housekeeper::wait(Clock::duration limit) {
  const bool told = told_to_leave();
  const auto until = Clock::now() + (told ? std::min<Clock::duration>(limit, kLeavingSlice) : limit);
  const auto beat = std::min<Clock::duration>(kSlice, config_.supervisor.housekeeper_timeout() / 4);
  do {
    const auto slice = std::min<Clock::duration>(beat, until - Clock::now());
    if (header_.housekeeper_doorbell.wait(std::max<std::chrono::nanoseconds>(slice, 0ns))) return;
    tick();
  } while (Clock::now() < until && told_to_leave() == told && !replaced());
}

void Housekeeper::tick() {
  board_.check();
  header_.housekeeper_heartbeat_ns.store(board::now_ns());
  log_follower_.look();
}

bool Housekeeper::told_to_leave() {
  if (leaving_since_) return true;
  const auto command = header_.housekeeper_command.load();
  const bool told = command == board::Command::drain || command == board::Command::stop_now;
  if (!told && requests_to_leave() == 0 && !leash_.supervisor_gone()) return false;
  leaving_since_ = Clock::now();
  return true;
}

// Last of all: as long as a sub-worker holds a lease, somebody has to keep it alive, and what the dead left
// wants settling.
bool Housekeeper::may_leave() {
  if (!told_to_leave()) return false;
  if (leash_.supervisor_gone()) disown_silent();
  return (leases().empty() && !board::has_open_grave(board_)) ||
         Clock::now() - *leaving_since_ >
             std::max<Clock::duration>(config_.supervisor.shutdown_grace, kLastDuties);
}

void Housekeeper::show(const std::string& activity) const {
  sys::set_process_title(fmt::format("housekeeper: {}", activity));
}

}  // namespace postpone::subworker
