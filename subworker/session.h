// A sub-worker's way to the database: permit, connection and lease, and the promise that a finished outcome
// is kept until it is stored.
//
//   visit():  permit ─▶ connection ─▶ lease ─▶ finish(previous) + fetch(next), one transaction, one round
//   trip
//
// Whatever the database does, visit() tries again, with growing waits, until it was answered; it gives up
// only when the sub-worker is leaving and has nothing (or no more time) to store.
//
// A lost answer to a fetch is the one dangerous case: a job may be leased to us that we do not know, now or,
// when the server is slow, later. Looking for it proves nothing. So the lease itself is given up, with the
// rescue that the housekeeper would use: it waits for the transaction that may be in flight, settles what we
// know, puts everything else back, and deletes the lease, after which nothing of it can come true any more.
// Then we take a new one.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "board/board.h"
#include "config/config.h"
#include "sql/job_manager.h"
#include "sql/outage.h"
#include "sys/backoff.h"

namespace postpone::subworker {

// The database refused an outcome itself (a deferred job with an impossible queue name, say): trying again
// will not help.
class OutcomeRefused : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A finished job's outcome, kept until the database has it.
struct KeptOutcome {
  sql::JobId job_id = 0;
  std::string text;  // sql::to_json(Outcome)
};

// Who this incarnation is.
struct Identity {
  std::string supervisor;  // see sql::WorkerDescription
  std::string host;
  std::string name;  // "kitchen/3"
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::string cgroup;  // where its task processes live; empty = nowhere in particular
};

class Session {
 public:
  struct Hooks {
    std::function<void()> on_tick;  // at least twice a second, while waiting for anything
    std::function<bool(bool pending)>
        gives_up;  // is there no point in waiting on? `pending`: outcomes are not stored yet
    std::function<void(sql::WorkerId)> on_lease;  // a new lease
  };

  Session(const config::Config& config, const config::Group& group, const board::Board& board,
          Identity identity, Hooks hooks);

  // Records the outcomes and fetches up to `max_jobs`. Nothing when it gave up. Throws OutcomeRefused, and
  // DatabaseError only for mistakes that no waiting heals (a missing schema). REQUIRES: every job that this
  // sub-worker still holds is among `outcomes`.
  std::optional<sql::FinishedAndFetched> visit(const std::vector<KeptOutcome>& outcomes, int max_jobs);

  // Gives connection and permit away, to whoever waits for one; the next visit() takes them again.
  void give_up_connection();
  bool connected() const { return manager_.has_value(); }
  // Is it one too many, since there are fewer of them by now?
  bool connection_is_surplus() const { return permit_ && permit_->is_surplus(); }

  // When the taking of the present lease, or its last renewal by ourselves, was begun (board::boot_ns()).
  std::int64_t leased_since_ns() const { return leased_since_ns_; }

  // Deletes the lease. False when that could not be done; somebody else has to clean up behind us then.
  bool leave();

 private:
  bool take_permit(bool pending);
  void be_fair();
  void connect();
  void ensure_lease();
  void renew_lease();
  void note_lost_lease();
  std::vector<sql::Recorded> settle(const std::vector<KeptOutcome>& outcomes);
  void handle(const sql::DatabaseError& error, bool outcomes_sent, int max_jobs);
  void note_end_of_outage();
  void wait(std::chrono::milliseconds limit, bool pending);

  const config::Config& config_;
  const config::Group& group_;
  const board::Board& board_;
  const Identity identity_;
  const Hooks hooks_;
  board::Slot& slot_;

  std::optional<board::Permit> permit_;
  std::optional<sql::JobManager> manager_;
  sql::WorkerId worker_id_ = 0;
  std::int64_t leased_since_ns_ = 0;
  // A lease that must be settled before anything else is done: an answer was lost, or its row is gone.
  std::optional<sql::WorkerId> doubtful_lease_;
  std::int64_t next_waited_ns_ = 0;  // when to ask next how long a job has waited
  bool lease_out_of_sight_ = false;  // there was trouble: ask for it before anything is built on it
  sys::Backoff backoff_;
  sql::Outage outage_;
};

}  // namespace postpone::subworker
