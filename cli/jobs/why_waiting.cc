#include "cli/jobs/why_waiting.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "cli/jobs/worker_text.h"
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

// The text names the first of the jobs before this one, and counts the others.
std::string and_more(std::int64_t others) {
  return others > 0 ? ", and " + jobs(others) + " of that lock before it" : "";
}

std::optional<WhyWaiting> lock_ahead(const sql::Job& job, const sql::Standing& standing) {
  const std::string lock = job.lock.value_or("");
  if (standing.holder) {
    const sql::DoingJob& holder = *standing.holder;
    return WhyWaiting{Reason::lock,
                      "behind job " + std::to_string(holder.job_id) + " of lock " + printable(lock) +
                          ", which runs under " + describe(holder.lease) + " for " + running_for(holder) +
                          and_more(standing.ahead_in_lock),
                      holder.job_id};
  }
  if (!standing.ahead) return std::nullopt;
  return WhyWaiting{Reason::lock, ahead_text(*standing.ahead, lock) + and_more(standing.ahead_in_lock - 1),
                    standing.ahead->id};
}

struct WorkerCount {
  int alive = 0;
  int idle = 0;
};

// Counts the workers of these groups; of all groups without `groups`.
WorkerCount count_workers(const std::vector<sql::WorkerState>& workers,
                          const std::vector<std::string>* groups, sql::Seconds silent_for) {
  WorkerCount count;
  for (const sql::WorkerState& worker : workers) {
    const std::string group = group_of(worker.lease);
    if (groups != nullptr && std::find(groups->begin(), groups->end(), group) == groups->end()) continue;
    if (worker.lease.silent_for > silent_for) continue;
    ++count.alive;
    if (worker.runs.empty()) ++count.idle;
  }
  return count;
}

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + printable(name);
  return text;
}

// Whether the configuration has an idle worker for the job; nothing when it has.
std::optional<WhyWaiting> no_idle_worker(const sql::Job& job, const std::vector<sql::WorkerState>& workers,
                                         const KnownGroups& known, sql::Seconds silent_for) {
  const std::vector<std::string> groups = known.config.groups_serving(job.queue);
  const std::string file = printable(known.file);
  const std::string queue = printable(job.queue);
  if (groups.empty()) return WhyWaiting{Reason::no_worker, "no group of " + file + " serves queue " + queue};
  const std::string served = (groups.size() == 1 ? "group " : "groups ") + join(groups) + " of " + file;
  const WorkerCount count = count_workers(workers, &groups, silent_for);
  if (count.alive == 0) {
    return WhyWaiting{Reason::no_worker,
                      "queue " + queue + " is served by " + served +
                          ", of which no worker is alive: is postpone-supervisor running?"};
  }
  if (count.idle == 0) {
    const std::string workers_in_words = count.alive == 1
                                             ? "only living worker is busy"
                                             : std::to_string(count.alive) + " living workers are all busy";
    return WhyWaiting{Reason::busy,
                      "queue " + queue + " is served by " + served + ", whose " + workers_in_words};
  }
  return std::nullopt;
}

std::optional<WhyWaiting> no_living_worker(const std::vector<sql::WorkerState>& workers,
                                           sql::Seconds silent_for) {
  if (count_workers(workers, nullptr, silent_for).alive > 0) return std::nullopt;
  return WhyWaiting{Reason::no_worker,
                    workers.empty()
                        ? "no worker works on this database: is postpone-supervisor running?"
                        : "no worker of this database is alive, all are silent: `postpone workers`"};
}

WhyWaiting workers_not_known(const sql::Job& job, const std::vector<sql::WorkerState>& workers,
                             sql::Seconds silent_for) {
  const int alive = count_workers(workers, nullptr, silent_for).alive;
  return {Reason::unknown, "for a worker that serves queue " + printable(job.queue) +
                               ": the database does not know which queues the " + std::to_string(alive) +
                               (alive == 1 ? " living worker serves" : " living workers serve") +
                               "; --config FILE names the configuration that says so"};
}

}  // namespace

std::string_view to_string(Reason reason) {
  static constexpr std::array<std::string_view, 7> kNames = {"scheduled", "lock",    "no_worker", "busy",
                                                             "queue",     "unknown", "ready"};
  return kNames.at(static_cast<std::size_t>(reason));
}

std::vector<WhyWaiting> why_waiting(const sql::Job& job, const sql::Standing& standing,
                                    const std::vector<sql::WorkerState>& workers,
                                    const std::optional<KnownGroups>& groups, sql::Seconds silent_for) {
  std::vector<WhyWaiting> reasons;
  const auto add = [&reasons](std::optional<WhyWaiting> reason) {
    if (reason) reasons.push_back(std::move(*reason));
  };
  if (standing.due_in) {
    const bool comes = std::isfinite(standing.due_in->count());
    add(WhyWaiting{Reason::scheduled,
                   comes ? "scheduled in " + human_duration(*standing.due_in)
                         : "scheduled at infinity: it waits until it is cancelled, or given another time",
                   std::nullopt, standing.due_in});
  }
  add(lock_ahead(job, standing));
  const bool is_next = reasons.empty();
  if (groups) {
    add(no_idle_worker(job, workers, *groups, silent_for));
  } else {
    add(no_living_worker(workers, silent_for));
    if (is_next && reasons.empty()) add(workers_not_known(job, workers, silent_for));
  }
  if (is_next && standing.ahead_in_queue > 0) {
    add(WhyWaiting{Reason::queue, "behind " + jobs(standing.ahead_in_queue) + " of queue " +
                                      printable(job.queue) + " that are due, too"});
  }
  if (reasons.empty())
    add(WhyWaiting{Reason::ready,
                   "nothing: a worker is about to take it, unless its task has a concurrency "
                   "limit that is reached"});
  return reasons;
}

std::string who_runs_it(const sql::DoingJob& run, sql::Seconds silent_for) {
  const std::string rescue =
      "`postpone stalled rescue " + std::to_string(run.job_id) + "` lets it wait again";
  if (!run.lease) return "no worker: the one that ran it is gone; " + rescue;
  std::string text = describe(run.lease);
  if (!run.lease->foreign) text += " (pid " + std::to_string(run.lease->pid) + ")";
  text += ", for " + running_for(run);
  if (run.lease->silent_for > silent_for) {
    text += "; not heard of for " + human_duration(run.lease->silent_for) + ": " + rescue;
  }
  return text;
}

}  // namespace postpone::cli
