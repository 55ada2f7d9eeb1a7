#include "subworker/worker/job_run.h"

#include <utility>

#include "subworker/task/ending.h"
#include "subworker/task/outcome.h"
#include "sys/logger.h"

namespace postpone::subworker {

JobRun::JobRun(HeldJob& held, HeldJobs& all, board::Slot& slot, Reporter& reporter)
    : held_(held),
      all_(all),
      reporter_(reporter),
      context_(held.job.id, held.job.task, sql::next_attempt(held.job.attempts),
               sql::traceparent_in(held.job.meta)) {
  slot.enter(board::SlotState::running);
  reporter_.fetched(held_.job);
}

void JobRun::begins(std::chrono::milliseconds time_limit) {
  all_.begins(held_);
  reporter_.job_started(held_.job, time_limit);
}

void JobRun::progresses(const sql::Progress& progress) {
  reporter_.progressed(held_.job, progress);
}

void JobRun::ends(sql::Outcome outcome) {
  announce_end(outcome);
  all_.ends(held_, std::move(outcome));
}

void JobRun::is_taken_away(const sql::Outcome& told) {
  announce_end(told);
  all_.let_go(held_);
}

void JobRun::is_left() {
  all_.ends(held_, given_back(held_.job));
}

void JobRun::announce_end(const sql::Outcome& outcome) {
  log_ending(held_.job, outcome);
  if (outcome.action != sql::Action::release) reporter_.job_ended(held_.job, outcome);
}

void announce_plain(HeldJob& held, HeldJobs& all, Reporter& reporter, const libtask::wire::PlainRun& run,
                    sql::Outcome outcome) {
  if (sys::log_of(sys::Component::job).should_log(sys::Level::info)) {
    const sys::LogContext context(held.job.id, held.job.task, outcome.attempt,
                                  sql::traceparent_in(held.job.meta));
    log_ending(held.job, outcome);
  }
  reporter.fetched(held.job);
  reporter.ran_plainly(held.job, outcome);
  all.succeeds(held, run, std::move(outcome));
}

}  // namespace postpone::subworker
