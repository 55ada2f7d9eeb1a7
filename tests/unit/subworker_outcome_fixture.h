// Runs and how they ended, for tests of what becomes of their jobs.
#pragma once

#include <csignal>
#include <optional>
#include <string>
#include <utility>

#include "subworker/task/outcome.h"

namespace postpone::subworker {

using libtask::wire::Result;
using libtask::wire::ResultStatus;
using libtask::wire::RetryStrategy;
using libtask::wire::TaskDescription;

inline sql::Job job_after(int attempts) {
  sql::Job job;
  job.id = 42;
  job.task = "dishes.wash";
  job.attempts = attempts;
  return job;
}

inline TaskDescription task_with(std::optional<RetryStrategy> retry) {
  TaskDescription task;
  task.name = "dishes.wash";
  task.retry = std::move(retry);
  return task;
}

inline Execution ended(decltype(Execution::end) end, std::optional<StopReason> stop = std::nullopt) {
  Execution execution;
  execution.end = std::move(end);
  execution.stop = stop;
  return execution;
}

inline Returned returned(ResultStatus status, const std::string& message = "") {
  return {Result{.job_id = 42, .status = status, .message = message}};
}

inline Returned threw(bool retryable = true) {
  Returned end = returned(ResultStatus::exception, "the sink is full");
  end.result.exception_type = "std::runtime_error";
  end.result.retryable = retryable;
  return end;
}

inline Returned told(libtask::wire::Abort::Reason reason) {
  Returned end = returned(ResultStatus::aborted);
  end.result.abort_reason = reason;
  return end;
}

inline Died died_by(int signal) {
  return {.report = {.signalled = true, .code = signal}};
}

using Verdict = sys::OomWitness::Verdict;

inline Died killed_for_memory(Verdict verdict) {
  Died end = died_by(SIGKILL);
  end.oom = verdict;
  return end;
}

inline Died died_with(int status) {
  return {.report = {.signalled = false, .code = status}};
}

inline config::Group deleting(config::DeleteJobs which) {
  config::Group group;
  group.executable = "/opt/mail";
  group.delete_jobs = which;
  return group;
}

inline sql::Outcome decide_first(const Execution& execution,
                                 std::optional<RetryStrategy> retry = std::nullopt) {
  return decide(job_after(0), execution, task_with(std::move(retry)), {});
}

}  // namespace postpone::subworker
