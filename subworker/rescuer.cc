#include "subworker/rescuer.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <string>

#include "sys/crash_point.h"
#include "sys/log.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

constexpr auto kWatchInterval = 2s;

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

// What a dead sub-worker's places on the board say of its jobs.
struct Remains {
  sql::OutcomeTexts outcomes;
  std::vector<sql::JobId> ended;    // those of the outcomes
  std::vector<sql::JobId> running;  // and those whose outcome did not fit on the board
};

Remains remains_in(const board::Grave& grave) {
  Remains remains;
  for (const board::JobEntry& entry : grave.jobs) {
    const auto phase = entry.phase.load();
    const auto bytes = entry.outcome_bytes.load();
    if (phase == board::JobPhase::ended && bytes > 0) {
      remains.outcomes.emplace_back(entry.outcome, bytes);
      remains.ended.push_back(entry.job_id.load());
    } else if (phase == board::JobPhase::running || phase == board::JobPhase::ended) {
      remains.running.push_back(entry.job_id.load());
    }
  }
  return remains;
}

std::string worker_of(const sql::StalledJob& job) {
  if (job.reported) return fmt::format("its sub-worker {} has died", job.worker_name);
  if (!job.worker_id) return "its worker, not one of Postpone's, is gone";
  return fmt::format("its worker {}, not one of Postpone's, has been silent for {:.0f} s", *job.worker_id,
                     job.silent_for.value_or(0s).count());
}

// One line that tells people which job waits for them, and what they can do.
void tell(const sql::StalledJob& job) {
  const sys::LogFields fields({{"job", job.id}, {"task", job.task}});
  sys::log_of(sys::Component::job)
      .warn(
          "job {} (task {}{}) is stalled: {}. It stays in doing{} until somebody decides: `postpone stalled "
          "list`, then `postpone stalled rescue {}` or `postpone jobs finish {} --status failed`",
          job.id, job.task, job.lock ? ", lock " + *job.lock : "", worker_of(job),
          job.lock ? " and keeps its lock" : "", job.id, job.id);
}

}  // namespace

Rescuer::Rescuer(const config::Config& config, const board::Board& board) : config_(config), board_(board) {}

// --- graves ---

void Rescuer::settle_graves(sql::JobManager& manager) {
  for (std::uint32_t i = 0; i < board::kMaxGraves; ++i) {
    board::Grave& grave = board_.grave(i);
    const auto worker_id = grave.worker_id.load();
    if (worker_id == grave.settled_worker_id.load()) continue;
    sys::crash_point("housekeeper.grave_found");
    settle(manager, grave);
    sys::crash_point("housekeeper.rescue_committed");
    grave.settled_worker_id.store(worker_id);
  }
}

// An outcome that the database refuses must not keep a dead lease, and its lock, alive: its job counts as
// lost then.
void Rescuer::settle(sql::JobManager& manager, const board::Grave& grave) {
  const Remains remains = remains_in(grave);
  sql::RescueRequest rescue;
  rescue.worker_id = grave.worker_id.load();
  rescue.outcomes = remains.outcomes;
  rescue.running = remains.running;
  rescue.action = to_sql(config_.stalled.action);
  rescue.max_stalled = config_.stalled.max_stalled;
  rescue.message =
      fmt::format("its sub-worker (slot {}, lease {}) died", grave.slot.load(), rescue.worker_id);
  try {
    report(rescue.worker_id, manager.rescue_worker(rescue));
  } catch (const sql::DatabaseError& error) {
    if (error.remedy() != sql::Remedy::bug || rescue.outcomes.empty()) throw;
    spdlog::error("the outcomes that lease {} left are refused: {}", rescue.worker_id, error.what());
    rescue.outcomes.clear();
    rescue.running->insert(rescue.running->end(), remains.ended.begin(), remains.ended.end());
    report(rescue.worker_id, manager.rescue_worker(rescue));
  }
}

// What is left to people is told of with all other stalled jobs, at once.
void Rescuer::report(sql::WorkerId lease, const std::vector<sql::Recorded>& recorded) {
  for (const sql::Recorded& r : recorded) {
    if (r.disposition == sql::Disposition::reported) {
      next_watch_ = {};
      continue;
    }
    const sys::LogFields fields({{"job", r.job_id}});
    sys::log_of(sys::Component::job)
        .warn("rescued job {} of dead lease {}: {}", r.job_id, lease, sql::to_string(r.status));
  }
}

// --- the silent, and the jobs that are left ---

void Rescuer::watch_stalled(sql::JobManager& manager, Clock::time_point now) {
  if (now < next_watch_) return;
  const Clock::duration limit = config_.supervisor.stalled_after;
  next_watch_ = now + std::min<Clock::duration>(kWatchInterval, limit);
  if (now - connected_since_ >= limit) rescue_silent(manager);
  look_at_jobs(manager, now);
}

// Workers of other supervisors that were silent for too long are dead, or have fenced themselves.
void Rescuer::rescue_silent(sql::JobManager& manager) {
  const auto limit = config_.supervisor.stalled_after;
  for (const sql::WorkerId silent : manager.stalled_workers(limit, false)) {
    sql::RescueRequest rescue;
    rescue.worker_id = silent;
    rescue.action = to_sql(config_.stalled.action);
    rescue.max_stalled = config_.stalled.max_stalled;
    rescue.silent_for = limit;
    rescue.message = fmt::format("its worker (lease {}) was silent for more than {}", silent,
                                 config::format_duration(limit));
    report(silent, manager.rescue_worker(rescue));
  }
}

// Of our own workers' jobs only those that were left to people; the others are rescued with their worker.
void Rescuer::look_at_jobs(sql::JobManager& manager, Clock::time_point now) {
  std::map<Attempt, Sighting> sightings;
  for (const sql::StalledJob& job : manager.stalled_jobs(config_.supervisor.stalled_after)) {
    if (!job.foreign && !job.reported) continue;
    const Attempt attempt(job.id, job.attempts);
    const auto before = sightings_.find(attempt);
    Sighting& sighting = sightings[attempt];
    sighting = before != sightings_.end() ? before->second : Sighting{now};
    if (!is_ripe(job, sighting, now)) continue;
    if (job.foreign && config_.stalled.foreign_action != config::StalledAction::report)
      decide(manager, job);
    else if (!std::exchange(sighting.told, true))
      tell(job);
  }
  sightings_ = std::move(sightings);
}

// A foreign job whose worker is gone tells by nothing since when: we must have seen it so ourselves for as
// long as a worker may be silent.
bool Rescuer::is_ripe(const sql::StalledJob& job, const Sighting& sighting, Clock::time_point now) const {
  if (job.reported) return true;
  const auto since = job.worker_id ? connected_since_ : std::max(connected_since_, sighting.since);
  return now - since >= config_.supervisor.stalled_after;
}

void Rescuer::decide(sql::JobManager& manager, const sql::StalledJob& job) const {
  sql::JobRescue rescue;
  rescue.job_id = job.id;
  rescue.action = to_sql(config_.stalled.foreign_action);
  rescue.max_stalled = config_.stalled.max_stalled;
  rescue.silent_for = config_.supervisor.stalled_after;
  rescue.message = worker_of(job);
  for (const sql::Recorded& r : manager.rescue_job(rescue)) {
    const bool decided =
        r.disposition == sql::Disposition::recorded || r.disposition == sql::Disposition::superseded;
    if (!decided) continue;
    const sys::LogFields fields({{"job", r.job_id}});
    sys::log_of(sys::Component::job)
        .warn("rescued job {}, {}: {}", r.job_id, worker_of(job), sql::to_string(r.status));
  }
}

}  // namespace postpone::subworker
