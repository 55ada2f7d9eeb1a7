// What a session does while a job runs: each in one try, with the connection that there is.
#include <algorithm>
#include <iterator>
#include <utility>

#include "board/wake.h"
#include "subworker/worker/session.h"
#include "sys/crash_point.h"

namespace postpone::subworker {

// After a lost answer jobs may be leased to us that we do not know of. So the lease is in doubt, and is settled when the present run
// has ended: until then nobody else gets those jobs.
//
// What may pass with the next try, and what is no fault of the server, the visit finds out that follows the run.
std::optional<Visit> Session::visit_beside_run(std::vector<SentOutcome> outcomes, const Wanted& wanted) {
  // Whoever waits for a permit gets ours with the next visit.
  if (!connection_.is_connected() || connection_.is_surplus() || board::someone_waits_for_permit(board_) ||
      !connection_.try_permit())
    return std::nullopt;
  if (!lease_.is_trusted() || lease_.is_out_of_sight() || slot_.lost_lease.load() == lease_.id())
    return std::nullopt;
  VisitPlan plan(std::move(outcomes), wanted);
  try {
    exchange(plan, plan.max_jobs);
    sys::crash_point("sub_worker.fetched_ahead");
    outage_.ended();
    return std::move(plan.answer);
  } catch (const sql::DatabaseError& error) {
    const auto remedy = error.remedy();
    if (remedy == sql::Remedy::reconnect || remedy == sql::Remedy::wait)
      failed_beside_run(error, true, plan.is_pending());
  } catch (const AnswerIsLate&) {
    lease_.doubt();
    lease_.trouble();
    connection_.give_up();
    say("no answer to a fetch, though the job beside it has ended", plan.is_pending());
  }
  return std::nullopt;
}

std::optional<std::vector<sql::Recorded>> Session::record_beside_run(const std::vector<SentOutcome>& outcomes,
                                                                     const std::vector<sql::JobId>& running) {
  if (!connection_.try_permit()) {
    board::ask_idle_holder_for_permit(board_);
    return std::nullopt;
  }
  if (auto recorded = record_aside(outcomes, running)) return recorded;
  if (outcomes.size() + running.size() <= 1 || !connection_.is_connected()) return std::nullopt;
  // One of them is refused, perhaps. Which one, the next visit finds out; it must not hold up the others.
  if (!running.empty() && !record_aside({}, running)) return std::nullopt;
  std::vector<sql::Recorded> recorded;
  for (const SentOutcome& outcome : outcomes) {
    if (const auto one = record_aside({outcome}, {})) std::ranges::copy(*one, std::back_inserter(recorded));
    if (!connection_.is_connected()) break;
  }
  if (recorded.empty() && running.empty()) return std::nullopt;
  return recorded;
}

// A release whose answer is lost may come true late, and would then release the next run of its job under
// this lease. So no job is fetched under it any more: it is in doubt, and is settled when the present run has
// ended. Until then the release may be sent again: what it means has not changed.
std::optional<std::vector<sql::Recorded>> Session::record_aside(const std::vector<SentOutcome>& outcomes,
                                                                const std::vector<sql::JobId>& running) {
  try {
    auto recorded = database().finish_and_settle(lease_.id(), ended(outcomes), running);
    sys::crash_point("sub_worker.beside_run_committed");
    outage_.ended();
    return recorded;
  } catch (const sql::DatabaseError& error) {
    failed_beside_run(error, std::ranges::any_of(outcomes, &SentOutcome::releases), true);
    return std::nullopt;
  }
}

void Session::failed_beside_run(const sql::DatabaseError& error, bool releases, bool pending) {
  const bool is_lost = error.remedy() == sql::Remedy::reconnect;
  if (is_lost && connection_.is_connected() && releases && error.leaves_doubt()) lease_.doubt();
  if (is_lost || error.remedy() == sql::Remedy::wait) lease_.trouble();
  if (is_lost) connection_.give_up();
  say(error.what(), pending);
}

// It takes a permit that is free, and asks no holder for one: that would cost the other its connection each time.
bool Session::store_progress(const ToldProgress& told) {
  if (!connection_.try_permit()) return false;
  try {
    database().store_progress(lease_.id(), told.job_id, told.attempt, told.progress);
    sys::crash_point("sub_worker.progress_stored");
    outage_.ended();
    return true;
  } catch (const sql::DatabaseError& error) {
    failed_beside_run(error, false, false);
    return false;
  }
}

}  // namespace postpone::subworker
