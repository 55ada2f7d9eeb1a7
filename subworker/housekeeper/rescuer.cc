#include "subworker/housekeeper/rescuer.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <string>

#include "sys/crash_point.h"
#include "sys/log.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

constexpr Rescuer::Clock::duration kWatchInterval = 2s;
constexpr auto kShortestWait = 50ms;
constexpr auto kLongestWait = 60s;
// How often a lease is tried to be settled as it should be, before its jobs are left to people.
constexpr int kPatience = 6;

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

  std::vector<sql::JobId> all() const {
    std::vector<sql::JobId> ids = ended;
    ids.insert(ids.end(), running.begin(), running.end());
    return ids;
  }
};

Remains remains_in(const board::Grave& grave) {
  Remains remains;
  for (const board::JobEntry& entry : grave.jobs) {
    const auto phase = entry.phase.load();
    const auto bytes = entry.outcome_bytes.load() <= sizeof entry.outcome ? entry.outcome_bytes.load() : 0;
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

Rescuer::Rescuer(const config::Config& config, const board::Board& board, HousekeeperReporter& reporter)
    : config_(config), board_(board), reporter_(reporter) {}

Rescuer::Settled Rescuer::try_one(Cares& cares, std::int64_t id, const std::string& what,
                                  Clock::time_point now, const std::function<void()>& settle) const {
  const auto known = cares.find(id);
  if (known != cares.end() && !known->second.pause.over(now)) return Settled::no;
  try {
    settle();
    cares.erase(id);
    return Settled::yes;
  } catch (const sql::DatabaseError& error) {
    if (error.remedy() == sql::Remedy::reconnect) throw;
    Care& care = cares.try_emplace(id, Care{sys::Pause({kShortestWait, kLongestWait})}).first->second;
    care.pause.failed(now, sys::chance());
    if (error.remedy() == sql::Remedy::bug || error.remedy() == sql::Remedy::conflict) ++care.refusals;
    if (care.said != error.what())
      spdlog::error("cannot settle {}, and will try again: {}", what, error.what());
    care.said = error.what();
    const bool refused = error.remedy() == sql::Remedy::bug || error.remedy() == sql::Remedy::conflict;
    return refused ? Settled::no : Settled::held_up;
  }
}

// --- graves ---

void Rescuer::settle_graves(sql::JobManager& manager, Clock::time_point now) {
  more_graves_ = false;
  for (std::uint32_t index = 0; index < board::kMaxGraves; ++index) {
    board::Grave& grave = board_.grave(index);
    const auto lease = grave.lease.load();
    if (lease == grave.settled_lease.load()) continue;
    const auto care = graves_.find(lease);
    const int refusals = care != graves_.end() ? care->second.refusals : 0;
    sys::crash_point("housekeeper.grave_found");
    const Settled settled = try_one(graves_, lease, fmt::format("lease {} of a dead sub-worker", lease), now,
                                    [&] { settle(manager, grave, refusals); });
    if (settled == Settled::held_up) {
      more_graves_ = true;
      return;
    }
    if (settled == Settled::no) continue;
    sys::crash_point("housekeeper.rescue_committed");
    grave.settled_lease.store(lease);
  }
}

Rescuer::Clock::time_point Rescuer::next_settling() const {
  if (more_graves_) return {};
  auto next = Clock::time_point::max();
  for (const auto& [lease, care] : graves_) next = std::min(next, care.pause.until());
  return next;
}

// A lease that cannot be ended as it should be is ended all the same, if the database allows it at all, and
// its jobs are left to people. If it does not, the grave stays open, and is tried again after waits of up to
// a minute: what it says of its jobs is not to be lost.
void Rescuer::settle(sql::JobManager& manager, const board::Grave& grave, int refusals) {
  Remains remains = remains_in(grave);
  sql::RescueRequest rescue;
  rescue.worker_id = grave.lease.load();
  rescue.action = to_sql(config_.stalled.action);
  rescue.max_stalled = config_.stalled.max_stalled;
  rescue.message =
      fmt::format("its sub-worker (slot {}, lease {}) died", grave.slot.load(), rescue.worker_id);
  rescue.running = remains.running;
  if (refusals >= kPatience) {
    rescue.action = sql::StalledAction::report;
    rescue.running = remains.all();
    rescue.message += ", and the database refuses to decide its jobs: " + graves_.at(rescue.worker_id).said;
    return report(manager, rescue, manager.rescue_worker(rescue), {});
  }
  rescue.outcomes = remains.outcomes;
  try {
    report(manager, rescue, manager.rescue_worker(rescue), remains.ended);
  } catch (const sql::DatabaseError& error) {
    if (error.remedy() != sql::Remedy::bug || rescue.outcomes.empty()) throw;
    spdlog::error("the outcomes that lease {} left are refused: {}", rescue.worker_id, error.what());
    settle_apart(manager, std::move(rescue), remains.ended);
  }
}

// Each outcome by itself. A job whose outcome is refused has ended, and is not to be run again: it is left to
// people, unless another of the same lease was running.
void Rescuer::settle_apart(sql::JobManager& manager, sql::RescueRequest rescue,
                           const std::vector<sql::JobId>& ended) {
  if (rescue.running->empty()) rescue.action = sql::StalledAction::report;
  const sql::OutcomeTexts outcomes = std::exchange(rescue.outcomes, {});
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    try {
      report(manager, rescue, manager.finish_and_fetch(rescue.worker_id, {outcomes[i]}, {}).recorded, ended);
    } catch (const sql::DatabaseError& error) {
      if (error.remedy() != sql::Remedy::bug) throw;
      rescue.running->push_back(ended[i]);
      rescue.message += fmt::format("; the outcome of job {} is refused: {}", ended[i], error.what());
    }
  }
  report(manager, rescue, manager.rescue_worker(rescue), {});
}

// What is left to people is told of with all other stalled jobs, at once.
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

// Whoever beats as we do may have been unheard for as long as we were, and for one interval more.
Rescuer::Clock::duration Rescuer::longest_own_silence() const {
  return config_.supervisor.stalled_after - config_.supervisor.heartbeat_interval;
}

void Rescuer::heartbeat_stored(Clock::time_point now) {
  if (now - heartbeat_at_ > longest_own_silence()) good_since_ = now;
  heartbeat_at_ = now;
}

bool Rescuer::may_judge(Clock::time_point since, Clock::time_point now) const {
  return now - heartbeat_at_ <= longest_own_silence() &&
         now - std::max(good_since_, since) >= config_.supervisor.stalled_after;
}

void Rescuer::watch_stalled(sql::JobManager& manager, Clock::time_point now) {
  if (now < next_watch_) return;
  const Clock::duration limit = config_.supervisor.stalled_after;
  next_watch_ = now + std::min(kWatchInterval, limit / 4);
  try {
    listen(manager, now);
    if (may_judge({}, now)) rescue_silent(manager, now);
    look_at_jobs(manager, now);
  } catch (const sql::DatabaseError&) {
    next_watch_ = {};  // still due; when it is tried again is for the housekeeper to say
    throw;
  }
}

void Rescuer::listen(sql::JobManager& manager, Clock::time_point now) {
  std::map<sql::WorkerId, Heard> heard;
  for (const auto& [worker, at_us] : manager.last_heartbeats()) {
    const auto before = heard_.find(worker);
    const bool same = before != heard_.end() && before->second.at_us == at_us;
    heard[worker] = same ? before->second : Heard{at_us, now};
  }
  heard_ = std::move(heard);
}

// Workers of other supervisors that were silent for too long are dead, or have fenced themselves.
void Rescuer::rescue_silent(sql::JobManager& manager, Clock::time_point now) {
  const auto limit = config_.supervisor.stalled_after;
  const std::vector<sql::WorkerId> workers = manager.stalled_workers(limit, false);
  std::erase_if(silent_, [&](const auto& care) { return !std::ranges::binary_search(workers, care.first); });
  for (const sql::WorkerId silent : workers) {
    // Not silent at all, perhaps: the server's clock was set forward, and everybody's last heartbeat is old.
    const auto heard = heard_.find(silent);
    if (heard == heard_.end() || now - heard->second.since < limit) continue;
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
    else if (!std::exchange(sighting.told, true))
      tell(job);
  }
  sightings_ = std::move(sightings);
  decide_all(manager, ripe, now);
}

void Rescuer::decide_all(sql::JobManager& manager, const std::vector<sql::StalledJob>& jobs,
                         Clock::time_point now) {
  std::erase_if(foreign_, [&](const auto& care) {
    return std::ranges::find(jobs, care.first, &sql::StalledJob::id) == jobs.end();
  });
  for (const sql::StalledJob& job : jobs) {
    const auto settled =
        try_one(foreign_, job.id, fmt::format("stalled job {}", job.id), now, [&] { decide(manager, job); });
    if (settled == Settled::held_up) return;
  }
}

// A foreign job whose worker is gone tells by nothing since when: we must have seen it so ourselves for as
// long as a worker may be silent.
bool Rescuer::is_ripe(const sql::StalledJob& job, const Sighting& sighting, Clock::time_point now) const {
  if (job.reported) return true;
  return may_judge(job.worker_id ? Clock::time_point{} : sighting.since, now);
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
