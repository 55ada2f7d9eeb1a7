#include "subworker/worker/outcome_log.h"

#include "sys/log.h"
#include "sys/logger.h"

namespace postpone::subworker {

void log_disposition(const sql::Recorded& recorded) {
  const sys::LogFields fields({{"job", recorded.job_id}});
  auto& log = sys::log_of(sys::Component::job);
  switch (recorded.disposition) {
    case sql::Disposition::superseded:
      return log.warn("job {} could not wait again: superseded by job {}, which has the same queueing lock",
                      recorded.job_id, recorded.by.value_or(0));
    case sql::Disposition::gone:
      return log.warn(
          "job {} was no longer ours when it ended (rescued, finished by hand or deleted): outcome dropped",
          recorded.job_id);
    case sql::Disposition::reported:
      return log.error(
          "job {} has ended, but the database refuses to record it: it stays in doing and keeps its lock "
          "until a person decides: `postpone stalled list`, then `postpone jobs finish {} --status "
          "succeeded` or `postpone stalled rescue {}`",
          recorded.job_id, recorded.job_id, recorded.job_id);
    case sql::Disposition::recorded:
    case sql::Disposition::already_recorded:
    case sql::Disposition::still_running:
      return;
  }
}

void log_refusal(sql::JobId job_id, sql::Cause cause, const std::string& why) {
  const sys::LogFields fields({{"job", job_id}});
  sys::log_of(sys::Component::job)
      .error("the database refuses the outcome of job {} ({}): {}", job_id, sql::to_string(cause), why);
}

void log_unrecorded(const sql::Outcome& outcome) {
  const sys::LogFields fields({{"job", outcome.job_id}});
  sys::log_of(sys::Component::job)
      .error("job {} ended ({}: {}) and could not be recorded: it will be rescued as a stalled job",
             outcome.job_id, sql::to_string(outcome.cause), outcome.message);
}

}  // namespace postpone::subworker
