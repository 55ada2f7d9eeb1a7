#include "outcome.h"

#include <algorithm>
#include <ostream>
#include <utility>

#include "libtask/wire/verdict.h"

namespace libtask::testing {

std::string_view to_string(Status status) {
  switch (status) {
    case Status::todo:
      return "todo";
    case Status::doing:
      return "doing";
    case Status::succeeded:
      return "succeeded";
    case Status::failed:
      return "failed";
    case Status::aborted:
      return "aborted";
  }
  return "";
}

std::string_view to_string(Cause cause) {
  switch (cause) {
    case Cause::succeeded:
      return "succeeded";
    case Cause::exception:
      return "exception";
    case Cause::bad_arguments:
      return "bad_arguments";
    case Cause::unknown_task:
      return "unknown_task";
    case Cause::timed_out:
      return "timed_out";
    case Cause::aborted:
      return "aborted";
    case Cause::superseded:
      return "superseded";
  }
  return "";
}

std::ostream& operator<<(std::ostream& stream, Status status) {
  return stream << to_string(status);
}

std::ostream& operator<<(std::ostream& stream, Cause cause) {
  return stream << to_string(cause);
}

std::ostream& operator<<(std::ostream& stream, const Outcome& outcome) {
  stream << outcome.status;
  if (outcome.cause != Cause::succeeded) stream << " (" << outcome.cause << ')';
  std::string separator = ": ";
  if (outcome.exception) stream << std::exchange(separator, ": ") << outcome.exception->type;
  if (!outcome.message.empty()) stream << separator << outcome.message;
  if (outcome.retry) stream << "; retry in " << static_cast<double>(outcome.retry->in.count()) / 1e6 << " s";
  return stream;
}

namespace detail {
namespace {

using Action = wire::Verdict::Action;

Status status_after(Action action) {
  switch (action) {
    case Action::succeed:
      return Status::succeeded;
    case Action::abort:
      return Status::aborted;
    case Action::retry:
      return Status::todo;
    case Action::fail:
      break;
  }
  return Status::failed;
}

Cause cause_of(const wire::Result& result) {
  switch (result.status) {
    case wire::ResultStatus::succeeded:
      return Cause::succeeded;
    case wire::ResultStatus::exception:
      return Cause::exception;
    case wire::ResultStatus::bad_arguments:
      return Cause::bad_arguments;
    case wire::ResultStatus::unknown_task:
      return Cause::unknown_task;
    case wire::ResultStatus::aborted:
      break;
  }
  return result.abort_reason == wire::Abort::Reason::time_limit ? Cause::timed_out : Cause::aborted;
}

std::vector<Deferred> deferred_by(const wire::Result& result) {
  std::vector<Deferred> jobs;
  for (const wire::DeferredJob& job : result.defers) {
    jobs.push_back({.task = job.task,
                    .args = job.args,
                    .queue = job.queue,
                    .priority = job.priority,
                    .lock = job.lock,
                    .queueing_lock = job.queueing_lock,
                    .delay = std::chrono::microseconds(job.delay_us),
                    .meta = job.meta.empty() ? std::nullopt : std::optional(job.meta)});
  }
  return jobs;
}

}  // namespace

wire::Run run_of(const Registry& registry, const Call& call, const Options& options) {
  static const libtask::detail::TaskEntry unknown{};
  const libtask::detail::TaskEntry* known = registry.find(call.task);
  const libtask::detail::TaskEntry& usual = known != nullptr ? *known : unknown;
  const auto scheduled_at_us =
      options.scheduled_at ? std::optional<std::int64_t>(options.scheduled_at->time_since_epoch().count())
                           : std::nullopt;
  return {.job_id = options.id,
          .attempt = options.attempt,
          .task = call.task,
          .queue = options.queue.value_or(usual.queue),
          .priority = options.priority.value_or(usual.priority),
          .lock = options.lock.value_or(usual.lock.value_or("")),
          .args = call.args.text(),
          .time_limit_ms = usual.time_limit.value_or(std::chrono::milliseconds(0)).count(),
          .scheduled_at_us = scheduled_at_us,
          .meta = options.meta.text(),
          .deferred_by = options.deferred_by};
}

Outcome outcome_of(const wire::Run& run, const wire::Result& result, const Registry& registry, TimePoint now,
                   int uncounted) {
  const libtask::detail::TaskEntry* task = registry.find(run.task);
  const auto strategy = task != nullptr ? libtask::detail::retry_strategy(*task) : std::nullopt;
  const wire::Verdict verdict =
      wire::judge(result, strategy, {.attempts = std::max(0, run.attempt - 1 - uncounted)});
  Outcome outcome{
      .status = status_after(verdict.action), .cause = cause_of(result), .message = result.message};
  if (verdict.is_used_up) outcome.message += "; no attempt is left";
  if (outcome.cause == Cause::exception)
    outcome.exception = {.type = result.exception_type, .message = result.message};
  if (outcome.status == Status::todo) {
    const auto wait = std::chrono::duration_cast<std::chrono::microseconds>(verdict.wait);
    outcome.retry = {.in = wait,
                     .at = now + wait,
                     .priority = verdict.priority,
                     .queue = verdict.queue,
                     .lock = verdict.lock,
                     .counts = verdict.counts};
  }
  outcome.defers = deferred_by(result);
  return outcome;
}

void end_if_it_would_wait(Outcome& outcome) {
  if (outcome.status != Status::todo) return;
  outcome.status = Status::failed;
  outcome.retry.reset();
}

}  // namespace detail
}  // namespace libtask::testing
