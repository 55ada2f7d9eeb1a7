#include "subworker/housekeeper/rescuer.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <string>
#include <utility>

#include "board/family.h"
#include "board/wake.h"
#include "subworker/housekeeper/remains.h"
#include "sys/cgroup.h"
#include "sys/crash_point.h"
#include "sys/log.h"
#include "sys/logger.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

constexpr Rescuer::Clock::duration kWatchInterval = 2s;
// How often the database may refuse to settle a lease as it should be, before its jobs are left to people.
constexpr int kMostRefusals = 6;

sql::StalledAction to_sql(config::StalledAction action) {
  switch (action) {
    case config::StalledAction::retry:
      return sql::StalledAction::retry;
    case config::StalledAction::fail:
      return sql::StalledAction::fail;
    case config::StalledAction::report:
      break;
  }
  return sql::StalledAction::report;
}

std::string worker_of(const sql::StalledJob& job) {
  if (job.reported) return fmt::format("its sub-worker {} has died", job.worker_name);
  if (!job.worker_id) return "its worker, not one of Postpone's, is gone";
  return fmt::format("its worker {}, not one of Postpone's, has been silent for {:.0f} s", *job.worker_id,
                     job.silent_for.value_or(0s).count());
}

// One line that says which job waits for people, and what they can do.
void report_stalled(const sql::StalledJob& job) {
  const sys::LogFields fields({{"job", job.id}, {"task", job.task}});
  sys::log_of(sys::Component::job)
      .warn(
          "job {} (task {}{}) is stalled: {}. It stays in doing{} until a person decides: `postpone stalled "
          "list`, then `postpone stalled rescue {}` or `postpone jobs finish {} --status failed`",
          job.id, job.task, job.lock ? ", lock " + *job.lock : "", worker_of(job),
          job.lock ? " and keeps its lock" : "", job.id, job.id);
}

}  // namespace

Rescuer::Rescuer(const config::Config& config, const board::Board& board, HousekeeperReporter& reporter,
                 std::string families, std::function<void()> between)
    : config_(config),
      board_(board),
      reporter_(reporter),
      families_(std::move(families)),
      between_(std::move(between)),
      silence_(config.supervisor) {}

Rescuer::Settled Rescuer::try_one(Cares& cares, std::int64_t id, const std::string& what,
                                  Clock::time_point now, const std::function<void()>& settle) const {
  if (!cares.may_try(id, now)) return Settled::no;
  between_();
  try {
    settle();
    cares.settled(id);
    return Settled::yes;
  } catch (const sql::DatabaseError& error) {
    if (error.remedy() == sql::Remedy::reconnect) throw;
    const Cares::Failure failure = cares.failed(id, error, now, sys::chance());
    if (failure.is_news) sys::log.error("cannot settle {}, and will try again: {}", what, error.what());
    return failure.is_refused ? Settled::no : Settled::held_up;
  }
}

// --- graves ---

// The commit of a rescue does not wait for the server's disk: a sibling fetches the jobs, and that commit waits for
// both. The graves stay open until the rescues are safe, too. If the server crashes in between, it has forgotten
// all of it, and the housekeeper, which has lost its connection, rescues from the same graves again.
void Rescuer::settle_graves(sql::JobManager& manager, Clock::time_point now) {
  more_graves_ = false;
  std::vector<board::Grave*> settled;
  for (std::uint32_t index = 0; index < board::kMaxGraves; ++index) {
    board::Grave& grave = board_.grave(index);
    const auto lease = grave.lease.load();
    if (lease == grave.settled_lease.load()) continue;
    sys::crash_point("housekeeper.grave_found");
    const Settled outcome = try_one(graves_, lease, fmt::format("lease {} of a dead sub-worker", lease), now,
                                    [&] { settle(manager, grave); });
    more_graves_ = outcome == Settled::held_up;
    if (more_graves_) break;
    if (outcome == Settled::no) continue;
    sys::crash_point("housekeeper.rescue_committed");
    settled.push_back(&grave);
  }
  if (settled.empty()) return;
  if (can_flush_) flush(manager);
  for (board::Grave* grave : settled) grave->settled_lease.store(grave->lease.load());
}

// Where the server does not let us, its own writer brings the commits to the disk within a second, and from now
// on each rescue waits by itself.
void Rescuer::flush(sql::JobManager& manager) {
  try {
    manager.flush();
    sys::crash_point("housekeeper.rescue_flushed");
  } catch (const sql::DatabaseError& error) {
    if (error.remedy() == sql::Remedy::reconnect) throw;
    can_flush_ = false;
    sys::log.warn("rescues wait for the server's disk from now on: {}", error.what());
  }
}

Rescuer::Clock::time_point Rescuer::next_settling() const {
  return more_graves_ ? Clock::time_point{} : graves_.next();
}

// A lease that cannot be ended as it should be is ended all the same, if the database allows it at all, and
// its jobs are left to people. If the database does not, the grave stays open, and is tried again after waits
// of up to a minute: what it says of its jobs is not to be lost.
void Rescuer::settle(sql::JobManager& manager, const board::Grave& grave) {
  const Remains remains = remains_in(grave);
  sql::RescueRequest rescue;
  rescue.worker_id = grave.lease.load();
  rescue.action = to_sql(config_.stalled.action);
  rescue.max_stalled = config_.stalled.max_stalled;
  rescue.message =
      fmt::format("its sub-worker (slot {}, lease {}) died", grave.slot.load(), rescue.worker_id);
  rescue.running = remains.running;
  rescue.is_kept = can_flush_;
  if (graves_.refusals(rescue.worker_id) >= kMostRefusals) {
    rescue.action = sql::StalledAction::report;
    rescue.running = remains.all();
    rescue.message += ", and the database refuses to decide its jobs: " + graves_.said(rescue.worker_id);
    return report(manager, rescue, manager.rescue_worker(rescue), {});
  }
  rescue.outcomes = remains.outcomes;
  try {
    const std::vector<sql::Recorded> recorded = manager.rescue_worker(rescue);
    ring_siblings(grave, recorded);
    report(manager, rescue, recorded, remains.ended);
  } catch (const sql::DatabaseError& error) {
    if (error.remedy() != sql::Remedy::bug || rescue.outcomes.empty()) throw;
    sys::log.error("the outcomes that lease {} left are refused: {}", rescue.worker_id, error.what());
    settle_apart(manager, std::move(rescue), remains.ended);
  }
}

// Where the supervisor listens, the notification of the rescue does it, as soon as the answer is here.
void Rescuer::ring_siblings(const board::Grave& grave, const std::vector<sql::Recorded>& recorded) const {
  if (config_.database.listen) return;
  const auto waiting = std::ranges::count_if(recorded, [](const sql::Recorded& r) {
    return r.disposition == sql::Disposition::recorded && r.status == sql::JobStatus::todo;
  });
  const std::uint32_t slot = grave.slot.load();
  if (waiting > 0 && slot < board_.slots())
    board::wake_group(board_, board_.slot(slot).group.load(), static_cast<int>(waiting));
}

// Each outcome by itself. A job whose outcome is refused has ended, and is not to be run again: it is left to
// people, unless another of the same lease was running.
void Rescuer::settle_apart(sql::JobManager& manager, sql::RescueRequest rescue,
                           const std::vector<sql::JobId>& ended) {
  if (rescue.running->empty()) rescue.action = sql::StalledAction::report;
  const sql::OutcomeTexts outcomes = std::exchange(rescue.outcomes, {});
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    try {
      report(manager, rescue,
             manager.finish_and_fetch(rescue.worker_id, {.outcomes = {outcomes[i]}}, {}).recorded, ended);
    } catch (const sql::DatabaseError& error) {
      if (error.remedy() != sql::Remedy::bug) throw;
      rescue.running->push_back(ended[i]);
      rescue.message += fmt::format("; the outcome of job {} is refused: {}", ended[i], error.what());
    }
  }
  report(manager, rescue, manager.rescue_worker(rescue), {});
}

// What is left to people gets its line with all other stalled jobs, at once.
void Rescuer::report(sql::JobManager& manager, const sql::RescueRequest& rescue,
                     const std::vector<sql::Recorded>& recorded, const std::vector<sql::JobId>& known) {
  for (const sql::Recorded& r : recorded) {
    if (r.disposition == sql::Disposition::reported) {
      next_watch_ = {};
      continue;
    }
    const sys::LogFields fields({{"job", r.job_id}});
    sys::log_of(sys::Component::job)
        .warn("rescued job {} of dead lease {}: {}", r.job_id, rescue.worker_id, sql::to_string(r.status));
  }
  reporter_.rescued(manager, rescue.worker_id, recorded, known, rescue.message);
}

// --- the silent, and the jobs that are left ---

void Rescuer::watch_stalled(sql::JobManager& manager, Clock::time_point now) {
  if (now < next_watch_) return;
  const Clock::duration limit = config_.supervisor.stalled_after;
  next_watch_ = now + std::min(kWatchInterval, limit / 4);
  try {
    silence_.heard(manager.last_heartbeats(), now);
    between_();
    if (silence_.may_judge({}, now)) rescue_silent(manager, now);
    between_();
    look_at_jobs(manager, now);
  } catch (const sql::DatabaseError&) {
    next_watch_ = {};  // still due: the housekeeper decides when it is tried again
    throw;
  }
}

// Workers of other supervisors that were silent for too long are dead, or have fenced themselves.
void Rescuer::rescue_silent(sql::JobManager& manager, Clock::time_point now) {
  const auto limit = config_.supervisor.stalled_after;
  const std::vector<sql::WorkerId> workers = manager.stalled_workers(limit, false);
  silent_.keep_only([&](sql::WorkerId id) { return std::ranges::binary_search(workers, id); });
  const auto is_silent = [&](sql::WorkerId worker) { return silence_.is_silent(worker, now); };
  if (std::ranges::any_of(workers, is_silent) && !end_dead_families()) return;  // the next watch tries again
  for (const sql::WorkerId silent : workers) {
    if (!is_silent(silent)) continue;
    sql::RescueRequest rescue;
    rescue.worker_id = silent;
    rescue.action = to_sql(config_.stalled.action);
    rescue.max_stalled = config_.stalled.max_stalled;
    rescue.silent_for = limit;
    rescue.message = fmt::format("its worker (lease {}) was silent for more than {}", silent,
                                 config::format_duration(limit));
    const auto settled = try_one(silent_, silent, fmt::format("lease {} of a silent worker", silent), now,
                                 [&] { report(manager, rescue, manager.rescue_worker(rescue), {}); });
    if (settled == Settled::held_up) return;
  }
}

// A silent worker may be one of this host whose whole family was killed. Its task processes have died with
// their sub-workers, but not the processes that they had forked away, and no supervisor is left to end those.
bool Rescuer::end_dead_families() const {
  return families_.empty() || sys::end_unheld_cgroups(families_, board::kFamilyCgroupPrefix);
}

// Of our own workers' jobs only those that were left to people; the others are rescued with their worker.
void Rescuer::look_at_jobs(sql::JobManager& manager, Clock::time_point now) {
  std::map<Attempt, Sighting> sightings;
  std::vector<sql::StalledJob> ripe;
  for (const sql::StalledJob& job : manager.stalled_jobs(config_.supervisor.stalled_after)) {
    if (!job.foreign && !job.reported) continue;
    const Attempt attempt(job.id, job.attempts);
    const auto before = sightings_.find(attempt);
    Sighting& sighting = sightings[attempt];
    sighting = before != sightings_.end() ? before->second : Sighting{now};
    if (!is_ripe(job, sighting, now)) continue;
    if (job.foreign && config_.stalled.foreign_action != config::StalledAction::report)
      ripe.push_back(job);
    else if (!std::exchange(sighting.reported, true))
      report_stalled(job);
  }
  sightings_ = std::move(sightings);
  decide_all(manager, ripe, now);
}

void Rescuer::decide_all(sql::JobManager& manager, const std::vector<sql::StalledJob>& jobs,
                         Clock::time_point now) {
  foreign_.keep_only(
      [&](sql::JobId id) { return std::ranges::find(jobs, id, &sql::StalledJob::id) != jobs.end(); });
  for (const sql::StalledJob& job : jobs) {
    const auto settled =
        try_one(foreign_, job.id, fmt::format("stalled job {}", job.id), now, [&] { decide(manager, job); });
    if (settled == Settled::held_up) return;
  }
}

// Nothing in the database says since when the worker of a foreign job is gone: we must have seen it so
// ourselves for as long as a worker may be silent.
bool Rescuer::is_ripe(const sql::StalledJob& job, const Sighting& sighting, Clock::time_point now) const {
  if (job.reported) return true;
  return silence_.may_judge(job.worker_id ? Clock::time_point{} : sighting.since, now);
}

void Rescuer::decide(sql::JobManager& manager, const sql::StalledJob& job) const {
  sql::JobRescue rescue;
  rescue.job_id = job.id;
  rescue.action = to_sql(config_.stalled.foreign_action);
  rescue.max_stalled = config_.stalled.max_stalled;
  rescue.silent_for = config_.supervisor.stalled_after;
  rescue.message = worker_of(job);
  const auto recorded = manager.rescue_job(rescue);
  for (const sql::Recorded& r : recorded) {
    const bool decided =
        r.disposition == sql::Disposition::recorded || r.disposition == sql::Disposition::superseded;
    if (!decided) continue;
    const sys::LogFields fields({{"job", r.job_id}});
    sys::log_of(sys::Component::job)
        .warn("rescued job {}, {}: {}", r.job_id, worker_of(job), sql::to_string(r.status));
  }
  reporter_.rescued(manager, std::nullopt, recorded, {}, rescue.message);
}

}  // namespace postpone::subworker
