#include "subworker/task/outcome.h"

#include <spdlog/fmt/fmt.h>

#include <cmath>
#include <csignal>
#include <string_view>
#include <utility>
#include <vector>

#include "libtask/wire/names.h"
#include "subworker/task/retrying.h"

namespace postpone::subworker {
namespace {

using libtask::wire::ResultStatus;
using libtask::wire::RetryStrategy;
using libtask::wire::TaskDescription;

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

void retry_in(sql::Outcome& outcome, sql::Seconds wait, const std::optional<RetryStrategy>& strategy) {
  outcome.action = sql::Action::retry;
  outcome.retry_in = wait;
  if (!strategy) return;
  outcome.new_priority = strategy->priority;
  outcome.new_queue = strategy->queue;
  outcome.new_lock = strategy->lock;
}

// A job that stopped because of this sub-worker and not of its own fault: it waits again whatever its
// strategy says, and the attempt does not count.
void interrupted(sql::Outcome& outcome, const char* why) {
  outcome.cause = sql::Cause::aborted;
  outcome.message = std::string("interrupted: ") + why;
  outcome.action = sql::Action::retry;
  outcome.counts = false;
}

// A job that the program does not fit: a newer program may be on its way. The attempt does not count.
void misfit(sql::Outcome& outcome, const sql::Job& job, bool waits, double chance) {
  const auto wait = waits ? misfit_wait(job.budget.misfits, chance) : std::nullopt;
  if (!wait) return;
  retry_in(outcome, *wait, std::nullopt);
  outcome.counts = false;
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
  for (const auto& job : deferred) {
    sql::DeferRequest request;
    request.task = job.task;
    request.args = job.args;
    request.queue = job.queue;
    request.priority = job.priority;
    request.lock = job.lock;
    request.queueing_lock = job.queueing_lock;
    if (job.delay_us > 0) request.scheduled_in = std::chrono::microseconds(job.delay_us);
    requests.push_back(std::move(request));
  }
  return requests;
}

// What is impossible in that which the task asked for, a job to be deferred or a changed retry. Empty when
// nothing.
std::string fault_of_wishes(const sql::Outcome& outcome, const std::string& task) {
  if (outcome.action == sql::Action::retry) {
    sql::DeferRequest next;
    next.task = task;
    next.queue = outcome.new_queue.value_or(next.queue);
    next.lock = outcome.new_lock;
    return sql::fault_of(next);
  }
  for (const sql::DeferRequest& request : outcome.defers)
    if (std::string fault = sql::fault_of(request); !fault.empty()) return fault;
  return "";
}

// It would spoil the whole statement in which it is stored, so it costs this job.
void refuse_wishes(sql::Outcome& outcome, const std::string& fault) {
  outcome.action = sql::Action::fail;
  if (outcome.cause == sql::Cause::succeeded) outcome.cause = sql::Cause::exception;
  outcome.message +=
      (outcome.message.empty() ? "it asked for the impossible: " : "; it asked for the impossible: ") + fault;
  outcome.defers.clear();
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
    switch (result.status) {
      case ResultStatus::succeeded:
        outcome.action = sql::Action::succeed;
        outcome.cause = sql::Cause::succeeded;
        outcome.defers = to_requests(result.defers);
        return;
      case ResultStatus::exception:
        return threw(result);
      case ResultStatus::
          bad_arguments:  // to the same program they are as bad next time: not as the task says
        outcome.cause = sql::Cause::bad_arguments;
        return misfit(outcome, job, group.bad_arguments == config::BadArguments::retry, chance);
      case ResultStatus::unknown_task:
        outcome.cause = sql::Cause::unknown_task;
        return misfit(outcome, job, group.unknown_task != config::UnknownTask::fail, chance);
      case ResultStatus::aborted:
        return gave_up(result);
    }
  }

  // Asked by us, by a SIGTERM from elsewhere (a service manager that stops the whole family at once), or by
  // itself.
  void gave_up(const libtask::wire::Result& result) const {
    if (stop) return stopped(*stop, "");
    if (result.abort_reason) return stopped(to_stop_reason(*result.abort_reason), "");
    outcome.cause = sql::Cause::aborted;
    outcome.action = sql::Action::abort;
  }

  void threw(const libtask::wire::Result& result) const {
    outcome.cause = sql::Cause::exception;
    outcome.exception_type = result.exception_type;
    if (result.retry_in_us) return asked_for_retry(result);
    fail_or_retry(result.retryable);
  }

  void asked_for_retry(const libtask::wire::Result& result) const {
    if (result.retry_counts && !has_attempts_left(job, task.retry)) {
      outcome.message += "; no attempt is left";
      return;
    }
    retry_in(outcome, std::chrono::microseconds(*result.retry_in_us), task.retry);
    outcome.counts = result.retry_counts;
    if (result.retry_priority) outcome.new_priority = result.retry_priority;
    if (result.retry_queue) outcome.new_queue = result.retry_queue;
    if (result.retry_lock) outcome.new_lock = result.retry_lock;
  }

  // A failure that the task's retry strategy, or what a person has granted, may turn into a further attempt.
  void fail_or_retry(bool may_be_retried) const {
    outcome.action = sql::Action::fail;
    if (!may_be_retried || !has_attempts_left(job, task.retry)) return;
    if (task.retry)
      retry_in(outcome, retry_wait(*task.retry, counted_attempts(job), chance), task.retry);
    else if (job.budget.allowed)
      retry_in(outcome, sql::Seconds(0), std::nullopt);
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

  void crashed() const { fail_or_retry(!task.retry || task.retry->on_crash); }
};

}  // namespace

sql::Outcome decide(const sql::Job& job, const Execution& execution, const TaskDescription& task,
                    const config::Group& group, double chance) {
  sql::Outcome outcome = begin(job);
  outcome.run_time = execution.run_time;
  outcome.cpu_time = execution.cpu_time;
  outcome.max_rss_bytes = execution.max_rss_bytes;
  outcome.stderr_tail = execution.stderr_tail;
  std::visit(Decision{outcome, job, execution.stop, task, group, chance}, execution.end);
  if (const std::string fault = fault_of_wishes(outcome, job.task); !fault.empty())
    refuse_wishes(outcome, fault);
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
  misfit(outcome, job, group.unknown_task == config::UnknownTask::retry, chance);
  keep_what_is_wanted(outcome, group);
  return outcome;
}

}  // namespace postpone::subworker
