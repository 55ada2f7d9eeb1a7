// A sub-worker's way to the database: permit, connection and lease, and the promise that an outcome is kept
// until it is stored.
//
//   visit():  permit ─▶ connection ─▶ lease ─▶ record outcomes + fetch jobs: one transaction, one round trip
//
// Whatever the database does, visit() tries again, with growing waits, until it was answered; it gives up
// only when the sub-worker is leaving and has nothing (or no more time) to store. What is tried next after an
// error is decided in visit_plan.h.
//
// Two answers are about rows, not about the server, and must cost those rows only:
//
//   an outcome is refused    visit() finds out which by sending the outcomes without a fetch, then one by
//                            one, and returns those that are refused.
//   a job cannot be started  visit() fetches past it (postpone_fetch_around), says so in the log, and passes
//                            it over for a while, longer each time.
//
// A lost answer to a fetch is the one dangerous case: a job may be leased to us that we do not know, now or,
// when the server is slow, later. Looking for it proves nothing. So the lease itself is given up, with the
// rescue that the housekeeper would use: it waits for the transaction that may be in flight, settles what we
// know, puts everything else back, and deletes the lease, after which nothing of it can come true any more.
// Then we take a new one. The same holds for a lost answer to a release, which counts no attempt: sent again,
// its late first copy would fit the next run of the same job under the same lease.
//
// What a death means to the database: before the lease is registered, nothing. After that, until the
// supervisor has heard of the lease over the leash, the lease is one of a silent worker, which holds no job.
// From then on the burial of this sub-worker ends it. An exchange is one transaction: it happened as a whole
// or not at all.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "board/board.h"
#include "config/config.h"
#include "sql/job_manager.h"
#include "sql/outage_log.h"
#include "subworker/worker/group_fetches.h"
#include "subworker/worker/identity.h"
#include "subworker/worker/lease.h"
#include "subworker/worker/passed_over.h"
#include "subworker/worker/pooled_connection.h"
#include "subworker/worker/progress_record.h"
#include "subworker/worker/unrecorded.h"
#include "subworker/worker/visit_plan.h"
#include "sys/backoff.h"
#include "sys/retry.h"

namespace postpone::subworker {

// Thrown by Hooks::on_tick in visit_beside_run(): the answer is waited for no longer.
struct AnswerIsLate {};

class Session {
 public:
  struct Hooks {
    std::function<void()> on_tick;  // at least twice a second, while waiting for anything
    // What on_tick looks after while the database is asked; see sql::ConnectOptions.
    std::function<int()> watched_fd = [] { return -1; };
    // Is there no point in waiting on? `pending`: outcomes are not stored yet.
    std::function<bool(bool pending)> gives_up;
    std::function<void(sql::WorkerId)> on_lease;  // a new lease
    // Right before a fetch: tasks to leave alone, besides those that this class knows of.
    std::function<std::vector<std::string>()> full_tasks = [] { return std::vector<std::string>(); };
  };

  Session(const config::Config& config, const config::Group& group, const board::Board& board,
          Identity identity, Hooks hooks);

  // Records the outcomes and fetches what is wanted. Nothing when it gave up. Throws DatabaseError only for
  // mistakes that no waiting heals (a missing schema), when there is nothing to record. REQUIRES: every job
  // that this sub-worker still holds is among `outcomes`.
  std::optional<Visit> visit(std::vector<SentOutcome> outcomes, const Wanted& wanted);

  // While jobs of this sub-worker run: settles those of them that are claimed, and records outcomes of others
  // that it holds, in one try. Nothing when that did not go well, and is to be tried again. It waits for the answer, and for a connection where there
  // is none, but for no permit. An outcome that the database refuses does not hold up the others.
  // REQUIRES: none of the outcomes is left to people.
  std::optional<std::vector<sql::Recorded>> record_beside_run(const std::vector<SentOutcome>& outcomes,
                                                              const std::vector<sql::JobId>& running);

  // While a job of this sub-worker runs: records outcomes of others that it holds and fetches what is wanted, in one try. Nothing
  // when that did not go well: a visit() is to follow when the run has ended. It waits for the answer, and for nothing else.
  // REQUIRES: none of the outcomes is left to people.
  std::optional<Visit> visit_beside_run(std::vector<SentOutcome> outcomes, const Wanted& wanted);

  // While it runs: how far a job is, in one try. False when the database could not be asked.
  bool store_progress(const ToldProgress& told);

  // Gives connection and permit away, to a sub-worker that waits for one; the next visit() takes them again.
  void give_up_connection() { connection_.give_up(); }
  // The same, if a sub-worker waits for one or there are fewer permits by now: it is not needed for a while.
  void lend_connection();

  // No job has come over the present connection yet, and it was not rehearsed.
  bool wants_rehearsal() const { return connection_.is_connected() && slot_.warm.load() == 0; }
  // While there is nothing to run: see JobManager::rehearse_run(). Throws nothing: what it finds out about the
  // database, the next visit finds out, too.
  void rehearse();

  // The executable does not have the task of this job: from now on no job of the task is fetched, or, of very many such
  // tasks, not this job for a while. `why` stands in the log, once for a task.
  void leave_alone(const sql::Job& job, const std::string& why);
  // But for those that a fresh task process has.
  void forget_left(const std::function<bool(const std::string& task)>& has) { passed_over_.forget_left(has); }

  // When the taking of the present lease, or its last renewal by ourselves, was begun (board::boot_ns()).
  std::int64_t leased_since_ns() const { return lease_.since_ns(); }

  // Deletes the lease. False when that could not be done: a rescue has to end it then.
  bool leave();

 private:
  sys::Tried try_once(VisitPlan& plan);
  void prepare(VisitPlan& plan);
  void exchange(VisitPlan& plan, int max_jobs);
  void record_one_by_one(VisitPlan& plan);
  sys::Tried fetch_past_refused(VisitPlan& plan);
  void pass_over(const sql::RefusedJob& refused);
  std::optional<std::vector<sql::Recorded>> record_aside(const std::vector<SentOutcome>& outcomes,
                                                         const std::vector<sql::JobId>& running);
  void failed_beside_run(const sql::DatabaseError& error, bool releases, bool pending);
  sys::Tried failed(const sql::DatabaseError& error, VisitPlan& plan, int asked_for);
  sql::FetchRequest fetch_request(int max_jobs);
  sql::JobManager connect() const;
  void ensure_lease();
  void renew_lease();
  void doubt_lost_lease();
  void settle(VisitPlan& plan);
  void abandon_lease(VisitPlan& plan, const std::string& why);
  void say(const std::string& what, bool pending);
  bool wait(std::chrono::milliseconds limit, bool pending);
  sql::JobManager& database() { return connection_.open(); }

  const config::Config& config_;
  const config::Group& group_;
  const board::Board& board_;
  const Identity identity_;
  const Hooks hooks_;
  board::Slot& slot_;
  PooledConnection connection_;
  Lease lease_;
  std::int64_t next_waited_ns_ = 0;  // when to ask next how long a job has waited
  PassedOver passed_over_;
  GroupFetches group_fetches_;
  sys::Backoff backoff_;
  bool wait_was_cut_ = false;  // a ring has ended the last wait between two tries
  sql::OutageLog outage_;
  sql::Outage fetch_outage_;  // of a fetch that goes well only job by job
};

}  // namespace postpone::subworker
