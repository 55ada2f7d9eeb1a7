#include "cli/jobs/standing.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "cli/status/overview_text.h"
#include "cli/text/text.h"

namespace postpone::cli {
namespace {

// "12 jobs", "1 job", "more than 10000 jobs".
std::string jobs(std::int64_t count) {
  if (count >= sql::Standing::kMany) return "more than " + std::to_string(sql::Standing::kMany) + " jobs";
  return std::to_string(count) + (count == 1 ? " job" : " jobs");
}

std::string ahead_text(const sql::Ahead& ahead, const std::string& lock) {
  std::string text = "behind job " + std::to_string(ahead.id) + " of lock " + printable(lock) +
                     ", which waits itself in queue " + printable(ahead.queue);
  if (ahead.scheduled_at) text += ", for a later time";
  return text;
}

// Of the jobs before it the first is named.
std::string and_more(std::int64_t others) {
  return others > 0 ? ", and " + jobs(others) + " of that lock before it" : "";
}

std::optional<WaitsFor> lock_ahead(const sql::Job& job, const sql::Standing& standing) {
  const std::string lock = job.lock.value_or("");
  if (standing.holder) {
    const sql::Run& holder = *standing.holder;
    return WaitsFor{Reason::lock,
                    "behind job " + std::to_string(holder.job_id) + " of lock " + printable(lock) +
                        ", which runs under " + describe(holder.lease) + " for " + running_for(holder) +
                        and_more(standing.ahead_in_lock),
                    holder.job_id};
  }
  if (!standing.ahead) return std::nullopt;
  return WaitsFor{Reason::lock, ahead_text(*standing.ahead, lock) + and_more(standing.ahead_in_lock - 1),
                  standing.ahead->id};
}

// Workers of some groups, or all.
struct Crew {
  int alive = 0;
  int idle = 0;
};

Crew crew_of(const std::vector<sql::WorkerState>& workers, const std::vector<std::string>* groups,
             sql::Seconds silent_for) {
  Crew crew;
  for (const sql::WorkerState& worker : workers) {
    const std::string group = group_of(worker.lease);
    if (groups != nullptr && std::find(groups->begin(), groups->end(), group) == groups->end()) continue;
    if (worker.lease.silent_for > silent_for) continue;
    ++crew.alive;
    if (worker.runs.empty()) ++crew.idle;
  }
  return crew;
}

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + printable(name);
  return text;
}

// What the configuration says of who would take it; nothing when somebody idle would.
std::optional<WaitsFor> worker_missing(const sql::Job& job, const std::vector<sql::WorkerState>& workers,
                                       const KnownGroups& known, sql::Seconds silent_for) {
  const std::vector<std::string> groups = known.config.groups_serving(job.queue);
  const std::string file = printable(known.file);
  const std::string queue = printable(job.queue);
  if (groups.empty()) return WaitsFor{Reason::no_worker, "no group of " + file + " serves queue " + queue};
  const std::string served = (groups.size() == 1 ? "group " : "groups ") + join(groups) + " of " + file;
  const Crew crew = crew_of(workers, &groups, silent_for);
  if (crew.alive == 0) {
    return WaitsFor{Reason::no_worker, "queue " + queue + " is served by " + served +
                                           ", of which no worker is alive: is postpone-supervisor running?"};
  }
  if (crew.idle == 0) {
    return WaitsFor{Reason::busy, "queue " + queue + " is served by " + served + ", whose " +
                                      std::to_string(crew.alive) + " living workers are all busy"};
  }
  return std::nullopt;
}

std::optional<WaitsFor> nobody_alive(const std::vector<sql::WorkerState>& workers, sql::Seconds silent_for) {
  if (crew_of(workers, nullptr, silent_for).alive > 0) return std::nullopt;
  return WaitsFor{Reason::no_worker,
                  workers.empty()
                      ? "no worker works on this database: is postpone-supervisor running?"
                      : "no worker of this database is alive, all are silent: `postpone workers`"};
}

WaitsFor unknown_workers(const sql::Job& job, const std::vector<sql::WorkerState>& workers,
                         sql::Seconds silent_for) {
  const int alive = crew_of(workers, nullptr, silent_for).alive;
  return {Reason::unknown, "for a worker that serves queue " + printable(job.queue) +
                               ": whether one of the " + std::to_string(alive) +
                               " that live does, the database does not know; --config FILE tells"};
}

}  // namespace

std::string_view to_string(Reason reason) {
  static constexpr std::array<std::string_view, 7> kNames = {"scheduled", "lock",    "no_worker", "busy",
                                                             "queue",     "unknown", "ready"};
  return kNames.at(static_cast<std::size_t>(reason));
}

std::vector<WaitsFor> what_it_waits_for(const sql::Job& job, const sql::Standing& standing,
                                        const std::vector<sql::WorkerState>& workers,
                                        const std::optional<KnownGroups>& groups, sql::Seconds silent_for) {
  std::vector<WaitsFor> reasons;
  const auto add = [&reasons](std::optional<WaitsFor> reason) {
    if (reason) reasons.push_back(std::move(*reason));
  };
  if (standing.due_in) {
    const bool comes = std::isfinite(standing.due_in->count());
    add(WaitsFor{Reason::scheduled,
                 comes
                     ? "scheduled in " + human_duration(*standing.due_in)
                     : "scheduled at infinity: it waits until somebody cancels it, or gives it another time",
                 std::nullopt, standing.due_in});
  }
  add(lock_ahead(job, standing));
  const bool is_next = reasons.empty();
  if (groups) {
    add(worker_missing(job, workers, *groups, silent_for));
  } else {
    add(nobody_alive(workers, silent_for));
    if (is_next && reasons.empty()) add(unknown_workers(job, workers, silent_for));
  }
  if (is_next && standing.ahead_in_queue > 0) {
    add(WaitsFor{Reason::queue, "behind " + jobs(standing.ahead_in_queue) + " of queue " +
                                    printable(job.queue) + " that are due, too"});
  }
  if (reasons.empty()) add(WaitsFor{Reason::ready, "nothing: a worker is about to take it"});
  return reasons;
}

std::string who_runs_it(const sql::Run& run, sql::Seconds silent_for) {
  const std::string rescue =
      "`postpone stalled rescue " + std::to_string(run.job_id) + "` lets it wait again";
  if (!run.lease) return "nobody: its worker is gone; " + rescue;
  std::string text = describe(run.lease);
  if (!run.lease->foreign) text += " (pid " + std::to_string(run.lease->pid) + ")";
  text += ", for " + running_for(run);
  if (run.lease->silent_for > silent_for) {
    text += "; not heard of for " + human_duration(run.lease->silent_for) + ": " + rescue;
  }
  return text;
}

}  // namespace postpone::cli
