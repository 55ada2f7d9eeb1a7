#include "subworker/task/outcome.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <string_view>
#include <utility>
#include <vector>

#include "libtask/wire/names.h"
#include "libtask/wire/verdict.h"

namespace postpone::subworker {
namespace {

using libtask::wire::ResultStatus;
using libtask::wire::TaskDescription;
using libtask::wire::Verdict;

static_assert(sql::kMostMisfits == libtask::wire::kMostMisfits);

sql::Outcome begin(const sql::Job& job) {
  sql::Outcome outcome;
  outcome.job_id = job.id;
  outcome.attempt = sql::next_attempt(job.attempts);
  return outcome;
}

void keep_what_is_wanted(sql::Outcome& outcome, const config::Group& group) {
  const bool succeeded = outcome.action == sql::Action::succeed;
  outcome.delete_job = group.delete_jobs == config::DeleteJobs::always
                           ? outcome.action != sql::Action::retry
                           : group.delete_jobs == config::DeleteJobs::successful && succeeded;
  outcome.omit_events = group.events == config::KeepEvents::none;
  outcome.omit_attempt = group.attempts == config::KeepAttempts::failures && succeeded;
}

sql::Action to_action(Verdict::Action action) {
  switch (action) {
    case Verdict::Action::succeed:
      return sql::Action::succeed;
    case Verdict::Action::abort:
      return sql::Action::abort;
    case Verdict::Action::retry:
      return sql::Action::retry;
    case Verdict::Action::fail:
      break;
  }
  return sql::Action::fail;
}

void take(sql::Outcome& outcome, const Verdict& verdict) {
  outcome.action = to_action(verdict.action);
  outcome.retry_in = verdict.wait;
  outcome.new_priority = verdict.priority;
  outcome.new_queue = verdict.queue;
  outcome.new_lock = verdict.lock;
  outcome.counts = verdict.counts;
}

// A job that stopped because of this sub-worker and not of its own fault: it waits again whatever its
// strategy says, and the attempt does not count.
void interrupted(sql::Outcome& outcome, const char* why) {
  outcome.cause = sql::Cause::aborted;
  outcome.message = std::string("interrupted: ") + why;
  outcome.action = sql::Action::retry;
  outcome.counts = false;
}

// 1 s, twice as long after each attempt that did not count, and five minutes at most.
sql::Seconds wait_after_claim(int uncounted) {
  constexpr double kLongestWait = 300;
  if (uncounted <= 0) return sql::Seconds(0);
  return sql::Seconds(std::min(std::pow(2.0, uncounted - 1), kLongestWait));
}

libtask::wire::Past past_of(const sql::Job& job) {
  return {.attempts = std::max(0, job.attempts - job.budget.uncounted),
          .allowed = job.budget.allowed,
          .misfits = job.budget.misfits};
}

sql::Cause to_cause(ResultStatus status) {
  switch (status) {
    case ResultStatus::succeeded:
      return sql::Cause::succeeded;
    case ResultStatus::exception:
      return sql::Cause::exception;
    case ResultStatus::bad_arguments:
      return sql::Cause::bad_arguments;
    case ResultStatus::unknown_task:
      return sql::Cause::unknown_task;
    case ResultStatus::aborted:
      break;
  }
  return sql::Cause::aborted;
}

StopReason to_stop_reason(libtask::wire::Abort::Reason reason) {
  using Reason = libtask::wire::Abort::Reason;
  switch (reason) {
    case Reason::requested:
      return StopReason::requested;
    case Reason::time_limit:
      return StopReason::time_limit;
    case Reason::shutdown:
      break;
  }
  return StopReason::shutdown;
}

std::vector<sql::DeferRequest> to_requests(const std::vector<libtask::wire::DeferredJob>& deferred) {
  std::vector<sql::DeferRequest> requests;
  requests.reserve(deferred.size());
  for (const auto& job : deferred) {
    sql::DeferRequest request;
    request.task = job.task;
    request.args = job.args;
    if (!job.meta.empty()) request.meta = job.meta;
    request.queue = job.queue;
    request.priority = job.priority;
    request.lock = job.lock;
    request.queueing_lock = job.queueing_lock;
    if (job.delay_us > 0) request.scheduled_in = std::chrono::microseconds(job.delay_us);
    requests.push_back(std::move(request));
  }
  return requests;
}

// It would spoil the whole statement in which it is stored, so it costs this job.
void refuse_wishes(sql::Outcome& outcome, const std::string& fault) {
  outcome.action = sql::Action::fail;
  if (outcome.cause == sql::Cause::succeeded) outcome.cause = sql::Cause::exception;
  outcome.message +=
      (outcome.message.empty() ? "it asked for the impossible: " : "; it asked for the impossible: ") + fault;
  outcome.defers.clear();
  outcome.inherited_meta.reset();
  outcome.result.reset();
}

double to_mib(std::int64_t bytes) {
  return std::round(static_cast<double>(bytes) / 1024 / 102.4) / 10;
}

// One overload for each way a run can end; each completes `outcome`.
struct Decision {
  sql::Outcome& outcome;
  const sql::Job& job;
  const std::optional<StopReason>& stop;
  const TaskDescription& task;
  const config::Group& group;
  double chance;

  void operator()(const Returned& returned) const {
    const auto& result = returned.result;
    outcome.message = result.message;
    if (result.status == ResultStatus::aborted) return gave_up(result);
    outcome.cause = to_cause(result.status);
    if (outcome.cause == sql::Cause::exception) outcome.exception_type = result.exception_type;
    if (outcome.cause == sql::Cause::succeeded) take_followers(result);
    const libtask::wire::MisfitPolicy policy = {
        .retries_unknown_task = group.unknown_task != config::UnknownTask::fail,
        .retries_bad_arguments = group.bad_arguments == config::BadArguments::retry};
    const Verdict verdict = libtask::wire::judge(result, task.retry, past_of(job), policy, chance);
    if (verdict.is_used_up) outcome.message += "; no attempt is left";
    take(outcome, verdict);
  }

  // Followers get the meta of the job that deferred them, unless they have their own.
  void take_followers(const libtask::wire::Result& result) const {
    outcome.defers = to_requests(result.defers);
    if (!outcome.defers.empty()) outcome.inherited_meta = job.meta;
  }

  // Asked by us, by a SIGTERM from elsewhere, or by itself.
  void gave_up(const libtask::wire::Result& result) const {
    if (stop) return stopped(*stop, "");
    if (result.abort_reason == libtask::wire::Abort::Reason::shutdown) return claims_shutdown();
    if (result.abort_reason) return stopped(to_stop_reason(*result.abort_reason), "");
    outcome.cause = sql::Cause::aborted;
    outcome.action = sql::Action::abort;
  }

  // A service manager may have stopped the whole family at once, and we are about to hear of it: the job waits again at once.
  // A task that says so each time must not run again and again without a wait, since such attempts do not count.
  void claims_shutdown() const {
    interrupted(outcome, "its task process was told to shut down, and not by its sub-worker");
    outcome.retry_in = wait_after_claim(job.budget.uncounted);
  }

  // A job that was asked to stop, and did (or was killed, which `how` says).
  void stopped(StopReason reason, const std::string& how) const {
    switch (reason) {
      case StopReason::requested:
        outcome.cause = sql::Cause::aborted;
        outcome.message = "aborted on request" + how;
        outcome.action = sql::Action::abort;
        return;
      case StopReason::time_limit:
        outcome.cause = sql::Cause::timed_out;
        outcome.message = "time limit exceeded" + how;
        return crashed();
      case StopReason::shutdown:
        return interrupted(outcome, "its sub-worker was shut down");
      case StopReason::fenced:
        return interrupted(outcome, "its sub-worker could not keep its lease");
      case StopReason::taken:  // has no outcome, see taken_away()
        return interrupted(outcome, "the job is no longer its sub-worker's");
    }
  }

  void operator()(const Died& died) const {
    (died.report.signalled ? outcome.signal : outcome.exit_status) = died.report.code;
    const std::string how = sys::to_string(died.report);
    if (stop) return stopped(*stop, "; the task process ended with " + how);
    outcome.cause = died.report.signalled ? sql::Cause::signalled : sql::Cause::exited;
    outcome.message = "the task process ended without a result: " + how;
    if (died.report.signalled && died.report.code == SIGKILL) blame(died.oom);
    crashed();
  }

  void blame(sys::OomWitness::Verdict oom) const {
    using Verdict = sys::OomWitness::Verdict;
    if (oom == Verdict::certain) outcome.cause = sql::Cause::memory_limit;
    outcome.message += oom == Verdict::certain ? "; the kernel sent it, for want of memory"
                       : oom == Verdict::probable
                           ? "; probably the kernel sent it: it has killed for want of memory"
                           : "; the kernel's counters do not show that the kernel sent it, so "
                             "another process did";
  }

  void operator()(const Outgrown& outgrown) const {
    outcome.cause = sql::Cause::memory_limit;
    outcome.message = fmt::format("took {} MiB of memory, more than memory_limit ({} MiB)",
                                  to_mib(outgrown.bytes), to_mib(outgrown.memory_limit));
    crashed();
  }

  // No try helps.
  void operator()(const Oversized& oversized) const {
    outcome.cause = sql::Cause::bad_arguments;
    outcome.message = oversized.what;
  }

  void operator()(const Garbled& garbled) const {
    outcome.cause = sql::Cause::protocol_error;
    outcome.message = "the task process garbled its channel: " + garbled.what;
    crashed();
  }

  void operator()(const Flooded& flooded) const {
    outcome.cause = sql::Cause::output_flood;
    outcome.message =
        fmt::format("wrote more than max_output ({} bytes) to stdout and stderr", flooded.max_output);
    crashed();
  }

  // The task's retry strategy may turn it into a further attempt.
  void crashed() const { take(outcome, libtask::wire::after_crash(task.retry, past_of(job), chance)); }
};

}  // namespace

sql::Outcome decide(const sql::Job& job, const Execution& execution, const TaskDescription& task,
                    const config::Group& group, double chance) {
  sql::Outcome outcome = begin(job);
  outcome.run_time = execution.run_time;
  outcome.cpu_time = execution.cpu_time;
  outcome.max_rss_bytes = execution.max_rss_bytes;
  outcome.stderr_tail = execution.stderr_tail;
  outcome.progress = execution.progress;
  std::visit(Decision{outcome, job, execution.stop, task, group, chance}, execution.end);
  if (outcome.action == sql::Action::succeed) outcome.result = execution.value;
  if (const std::string fault = sql::fault_of_wishes(outcome); !fault.empty()) refuse_wishes(outcome, fault);
  keep_what_is_wanted(outcome, group);
  return outcome;
}

sql::Outcome plain_success(const sql::Job& job, const libtask::wire::PlainRun& run,
                           const config::Group& group) {
  sql::Outcome outcome = begin(job);
  outcome.action = sql::Action::succeed;
  outcome.run_time = std::chrono::nanoseconds(run.ended_ns - run.started_ns);
  outcome.cpu_time = std::chrono::microseconds(run.cpu_us);
  outcome.max_rss_bytes = static_cast<std::int64_t>(run.max_rss_bytes);
  keep_what_is_wanted(outcome, group);
  return outcome;
}

std::string explain(const sql::Outcome& outcome) {
  if (outcome.exception_type.empty() || outcome.message.empty())
    return outcome.exception_type + outcome.message;
  return outcome.exception_type + ": " + outcome.message;
}

sql::Outcome taken_away(const sql::Job& job, const Execution& execution) {
  sql::Outcome outcome = begin(job);
  outcome.action = sql::Action::abort;
  outcome.cause = sql::Cause::aborted;
  outcome.message =
      "stopped, and no outcome is recorded: another session deleted, finished or sent back the job while it "
      "ran";
  outcome.run_time = execution.run_time;
  outcome.cpu_time = execution.cpu_time;
  return outcome;
}

sql::Outcome given_back(const sql::Job& job) {
  sql::Outcome outcome = begin(job);
  outcome.action = sql::Action::release;
  return outcome;
}

sql::Outcome unknown_task(const sql::Job& job, const libtask::wire::Description& description,
                          const config::Group& group, double chance) {
  std::vector<std::string_view> names;
  for (const TaskDescription& task : description.tasks) names.push_back(task.name);
  sql::Outcome outcome = begin(job);
  outcome.cause = sql::Cause::unknown_task;
  outcome.message = fmt::format("{} has no task \"{}\"; {}", group.executable, job.task,
                                libtask::wire::nearest_tasks(job.task, names));
  take(outcome,
       libtask::wire::after_misfit(group.unknown_task == config::UnknownTask::retry, past_of(job), chance));
  keep_what_is_wanted(outcome, group);
  return outcome;
}

}  // namespace postpone::subworker
