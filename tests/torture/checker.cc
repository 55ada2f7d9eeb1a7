#include "tests/torture/checker.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <sstream>
#include <utility>

namespace postpone::torture {
namespace {

using JobId = std::int64_t;
using Attempt = std::pair<JobId, int>;

std::string name_of(const Execution& execution) {
  return "job " + std::to_string(execution.job_id) + " attempt " + std::to_string(execution.attempt) +
         " (pid " + std::to_string(execution.pid) + ")";
}

std::string ms_text(std::int64_t ns) {
  std::ostringstream text;
  text << static_cast<double>(ns / 1000) / 1000 << " ms";
  return text.str();
}

// The status that an event leads to; empty for events of other kinds.
std::string status_after(const std::string& event) {
  if (event == "deferred" || event == "deferred_for_retry" || event == "retried") return "todo";
  if (event == "started") return "doing";
  return event;
}

// Says something about a job that runs, and changes no status.
constexpr const char* kAbortRequested = "abort_requested";

// May this event come when the job is in this state? "" is the state before it exists.
bool may_follow(const std::string& status, const std::string& event) {
  if (event == "deferred") return status.empty();
  if (event == "started" || event == "cancelled") return status == "todo";
  if (event == "retried") return status == "failed" || status == "cancelled" || status == "aborted";
  return status == "doing";
}

bool is_final(const std::string& status) {
  return status != "todo" && status != "doing";
}

// The order in which waiting jobs of a lock are taken.
struct Place {
  int priority = 0;
  JobId id = 0;
  bool operator<(const Place& other) const {
    return priority != other.priority ? priority > other.priority : id < other.id;
  }
};

class Checker {
 public:
  explicit Checker(const History& history) : history_(history), executions_(executions(history.journal)) {
    for (const JobRow& job : history.jobs) jobs_[job.id] = &job;
    for (const AttemptRow& attempt : history.attempts)
      attempts_[{attempt.job_id, attempt.attempt}] = &attempt;
    for (const Execution& execution : executions_)
      by_attempt_[{execution.job_id, execution.attempt}] = &execution;
    for (const JobRow& job : history.jobs)
      if (job.parent != 0) ++followers_[job.parent];
  }

  std::vector<Violation> run() {
    check_presence();
    check_executions();
    check_overlaps();
    check_attempts();
    check_events();
    check_order();
    check_order_of_execution();
    return std::move(violations_);
  }

 private:
  void complain(Rule rule, JobId job_id, std::string text) {
    violations_.push_back({rule, job_id, std::move(text)});
  }

  // --- jobs ---

  void check_presence() {
    for (const JobId id : history_.acknowledged)
      if (!jobs_.contains(id)) complain(Rule::lost, id, "was deferred and is not there");
    for (const auto& [id, job] : jobs_) {
      if (!is_final(job->status))
        complain(Rule::unfinished, id,
                 "is " + job->status + (job->has_worker ? ", with a worker" : ", without a worker"));
      const int wanted = job->status == "succeeded" ? job->followers : 0;
      if (followers_[id] != wanted)
        complain(Rule::followers, id,
                 job->status + ", and " + std::to_string(followers_[id]) + " jobs were deferred by it, not " +
                     std::to_string(wanted));
    }
  }

  // --- executions ---

  void check_executions() {
    for (const Execution& execution : executions_) {
      if (execution.starts == 0)
        complain(Rule::stray_sign, execution.job_id, name_of(execution) + " has signs of life and no start");
      if (execution.starts > 1)
        complain(Rule::ran_twice, execution.job_id,
                 name_of(execution) + " was started " + std::to_string(execution.starts) + " times");
      const Attempt attempt{execution.job_id, execution.attempt};
      if (!attempts_.contains(attempt))
        complain(Rule::uncounted_execution, execution.job_id,
                 name_of(execution) + " ran, and is in no table");
    }
  }

  void check_overlaps() {
    std::map<std::string, std::vector<const Execution*>> of_lock;
    std::map<JobId, std::vector<const Execution*>> of_job;
    for (const Execution& execution : executions_) {
      if (!execution.lock.empty()) of_lock[execution.lock].push_back(&execution);
      of_job[execution.job_id].push_back(&execution);
    }
    for (const auto& [lock, list] : of_lock) check_overlap(Rule::lock_overlap, "lock " + lock, list);
    for (const auto& [id, list] : of_job) check_overlap(Rule::job_overlap, "job " + std::to_string(id), list);
  }

  // REQUIRES: `list` is in the order of the starts.
  void check_overlap(Rule rule, const std::string& what, const std::vector<const Execution*>& list) {
    const Execution* last = nullptr;  // of those before, the one that lived longest
    for (const Execution* execution : list) {
      if (last && execution->started_ns < last->last_sign_ns)
        complain(rule, execution->job_id,
                 what + ": " + name_of(*execution) + " started while " + name_of(*last) + " lived; pid " +
                     std::to_string(last->last_pid) + " wrote " +
                     ms_text(last->last_sign_ns - execution->started_ns) + " later");
      if (!last || execution->last_sign_ns > last->last_sign_ns) last = execution;
    }
  }

  // --- attempts ---

  void check_attempts() {
    std::map<JobId, std::set<int>> numbers;
    for (const auto& [attempt, row] : attempts_) {
      numbers[attempt.first].insert(attempt.second);
      check_outcome(*row);
    }
    for (const auto& [id, job] : jobs_) check_numbers(*job, numbers[id]);
  }

  void check_numbers(const JobRow& job, const std::set<int>& numbers) {
    const bool counted = static_cast<int>(numbers.size()) == job.attempts;
    const bool in_a_row = numbers.empty() || (*numbers.begin() == 1 && *numbers.rbegin() == job.attempts);
    if (!counted || !in_a_row)
      complain(Rule::attempts, job.id,
               "attempts = " + std::to_string(job.attempts) + ", and " + std::to_string(numbers.size()) +
                   " attempts are known, the last one " +
                   std::to_string(numbers.empty() ? 0 : *numbers.rbegin()));
    const auto last = attempts_.find({job.id, job.attempts});
    const bool success = last != attempts_.end() && last->second->cause == "succeeded";
    if (success != (job.status == "succeeded"))
      complain(Rule::status, job.id,
               job.status + ", and its last attempt " +
                   (last == attempts_.end() ? "is not known" : "ended as " + last->second->cause));
  }

  void check_outcome(const AttemptRow& row) {
    const auto found = by_attempt_.find({row.job_id, row.attempt});
    const Execution* execution = found == by_attempt_.end() ? nullptr : found->second;
    const std::string name = "attempt " + std::to_string(row.attempt) + " was recorded as " + row.cause;
    if (row.cause == "succeeded" && !(execution && execution->ended))
      complain(Rule::unexecuted_outcome, row.job_id, name + ", and the task never got to its end");
    if ((row.cause == "exception" || row.cause == "output_flood") && !execution)
      complain(Rule::unexecuted_outcome, row.job_id, name + ", and the task never started");
    if (row.cause == "succeeded" && jobs_.contains(row.job_id) &&
        jobs_.at(row.job_id)->attempts != row.attempt)
      complain(Rule::attempts, row.job_id, name + ", and was not the last");
  }

  // --- events ---

  void check_events() {
    std::map<JobId, std::string> status;
    std::set<JobId> to_abort;
    for (const EventRow& event : history_.events) {
      std::string& now = status[event.job_id];
      if (event.type == kAbortRequested) {
        to_abort.insert(event.job_id);
        continue;
      }
      // Given back by a sub-worker that never started it, when it was to be aborted already.
      const bool never_began = event.type == "cancelled" && now == "doing" && to_abort.contains(event.job_id);
      if (!may_follow(now, event.type) && !never_began)
        complain(Rule::events, event.job_id,
                 "event " + std::to_string(event.id) + " is " + event.type + ", and the job was " +
                     (now.empty() ? "not there" : now));
      now = status_after(event.type);
    }
    for (const auto& [id, job] : jobs_)
      if (status[id] != job->status)
        complain(Rule::events, id, "is " + job->status + ", and after its events it would be " + status[id]);
  }

  // --- order ---

  const JobRow* locked_job(JobId id) const {
    const auto found = jobs_.find(id);
    return found == jobs_.end() || found->second->lock.empty() ? nullptr : found->second;
  }

  void check_order() {
    std::map<std::string, std::map<Place, const EventRow*>> waiting;  // by lock; and since which event
    for (const EventRow& event : history_.events) {
      const JobRow* job = locked_job(event.job_id);
      if (!job || event.type == kAbortRequested) continue;
      auto& queue = waiting[job->lock];
      const Place place{job->priority, job->id};
      if (event.type == "started") check_overtaken(event, job->lock, queue, place);
      if (status_after(event.type) == "todo")
        queue[place] = &event;
      else
        queue.erase(place);
    }
  }

  void check_overtaken(const EventRow& started, const std::string& lock,
                       const std::map<Place, const EventRow*>& queue, const Place& place) {
    for (auto elder = queue.begin(); elder != queue.end() && elder->first < place; ++elder) {
      if (elder->second->committed_us + kVisibleAfter.count() >= started.began_us) continue;
      complain(Rule::out_of_order, started.job_id,
               "lock " + lock + ": started while job " + std::to_string(elder->first.id) +
                   " waited before it, since " +
                   std::to_string((started.began_us - elder->second->committed_us) / 1000) + " ms");
    }
  }

  // Those of a lock that ran were started in the database in the same order. (Not all that were started ran:
  // they may have been killed, or released, before.)
  void check_order_of_execution() {
    std::map<std::string, std::vector<JobId>> started;
    for (const EventRow& event : history_.events)
      if (const JobRow* job = locked_job(event.job_id); job && event.type == "started")
        started[job->lock].push_back(job->id);
    std::map<std::string, std::size_t> reached;
    for (const Execution& execution : executions_) {
      if (execution.lock.empty() || execution.starts == 0) continue;
      const auto& list = started[execution.lock];
      std::size_t& at = reached[execution.lock];
      if (at > list.size()) continue;  // reported before
      while (at < list.size() && list[at] != execution.job_id) ++at;
      if (at == list.size())
        complain(Rule::order_of_execution, execution.job_id,
                 "lock " + execution.lock + ": " + name_of(execution) +
                     " ran, and its job was not started in the database at that place");
      ++at;
    }
  }

  const History& history_;
  const std::vector<Execution> executions_;
  std::map<JobId, const JobRow*> jobs_;
  std::map<Attempt, const AttemptRow*> attempts_;
  std::map<Attempt, const Execution*> by_attempt_;
  std::map<JobId, int> followers_;
  std::vector<Violation> violations_;
};

}  // namespace

const char* to_string(Rule rule) {
  static constexpr std::array<const char*, kRules> names = {"lost",
                                                            "unfinished",
                                                            "lock_overlap",
                                                            "job_overlap",
                                                            "ran_twice",
                                                            "out_of_order",
                                                            "order_of_execution",
                                                            "unexecuted_outcome",
                                                            "uncounted_execution",
                                                            "attempts",
                                                            "status",
                                                            "events",
                                                            "followers",
                                                            "stray_sign"};
  return names.at(static_cast<std::size_t>(rule));
}

std::vector<Execution> executions(const std::vector<JournalLine>& journal) {
  std::map<Attempt, Execution> found;
  for (const JournalLine& line : journal) {
    Execution& execution = found[{line.job_id, line.attempt}];
    if (execution.job_id == 0) {
      execution.job_id = line.job_id;
      execution.attempt = line.attempt;
      execution.lock = line.lock;
      execution.started_ns = line.at_ns;
      execution.pid = line.pid;
    }
    if (line.sign == Sign::start) ++execution.starts;
    execution.ended |= line.sign == Sign::end;
    execution.started_ns = std::min(execution.started_ns, line.at_ns);
    if (line.at_ns < execution.last_sign_ns) continue;
    execution.last_sign_ns = line.at_ns;
    execution.last_pid = line.pid;
  }
  std::vector<Execution> list;
  for (auto& [attempt, execution] : found) list.push_back(std::move(execution));
  std::sort(list.begin(), list.end(),
            [](const Execution& a, const Execution& b) { return a.started_ns < b.started_ns; });
  return list;
}

std::vector<Violation> check(const History& history) {
  return Checker(history).run();
}

std::string story(const History& history, JobId job_id) {
  std::ostringstream text;
  for (const JobRow& job : history.jobs)
    if (job.id == job_id)
      text << "  job " << job.id << ' ' << job.task << " lock " << job.lock << " priority " << job.priority
           << ": " << job.status << " after " << job.attempts << " attempts\n";
  for (const EventRow& event : history.events)
    if (event.job_id == job_id)
      text << "  event " << event.id << ' ' << event.type << " at " << event.began_us << ", committed "
           << event.committed_us << '\n';
  for (const AttemptRow& attempt : history.attempts)
    if (attempt.job_id == job_id) text << "  attempt " << attempt.attempt << ' ' << attempt.cause << '\n';
  for (const Execution& execution : executions(history.journal))
    if (execution.job_id == job_id)
      text << "  journal: attempt " << execution.attempt << " pid " << execution.pid << " from "
           << execution.started_ns << " to " << execution.last_sign_ns << " (pid " << execution.last_pid
           << ')' << (execution.ended ? ", ended" : "") << '\n';
  return text.str();
}

}  // namespace postpone::torture
