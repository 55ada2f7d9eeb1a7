// A sub-worker's way to the database: permit, connection and lease, and the promise that a finished outcome
// is kept until it is stored.
//
//   visit():  permit ─▶ connection ─▶ lease ─▶ finish(previous) + fetch(next), one transaction, one round
//   trip
//
// Whatever the database does, visit() tries again, with growing waits, until it was answered; it gives up
// only when the sub-worker is leaving and has nothing (or no more time) to store.
//
// Two answers tell of rows, not of the server, and must cost those rows only:
//
//   an outcome is refused     visit() finds out by sending the outcomes without a fetch, then one by one, and
//                             returns those that are refused. Errors that name the data are believed at once,
//                             others (a trigger that raises, a function that is missing) after several tries.
//   a job cannot be started   visit() fetches around it (postpone_fetch_around), says so in the log, and
//   passes
//                             it over for a while, longer each time.
//
// A lost answer to a fetch is the one dangerous case: a job may be leased to us that we do not know, now or,
// when the server is slow, later. Looking for it proves nothing. So the lease itself is given up, with the
// rescue that the housekeeper would use: it waits for the transaction that may be in flight, settles what we
// know, puts everything else back, and deletes the lease, after which nothing of it can come true any more.
// Then we take a new one. The same holds for a lost answer to a release, which counts no attempt: sent again,
// its late first copy would fit the next run of the same job under the same lease.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "board/board.h"
#include "config/config.h"
#include "sql/job_manager.h"
#include "sql/outage.h"
#include "subworker/worker/passed_over.h"
#include "sys/backoff.h"
#include "sys/retry.h"

namespace postpone::subworker {

// A finished job's outcome, kept until the database has it.
struct KeptOutcome {
  sql::JobId job_id = 0;
  std::string text;       // sql::to_json(Outcome)
  bool releases = false;  // Action::release
  // The database refuses it in every form: its lease ends, and the job stays in `doing` for people to decide.
  bool left_to_people = false;
  std::string why;  // then: the database's words
};

// An outcome that the database does not take in this form.
struct RefusedOutcome {
  sql::JobId job_id = 0;
  std::string why;  // the database's words
};

struct Visit {
  std::vector<sql::Recorded> recorded;
  std::vector<RefusedOutcome> refused;  // when there are any, nothing was fetched
  sql::Fetched fetched;
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

  // Records the outcomes and fetches up to `max_jobs`. Nothing when it gave up. Throws DatabaseError only for
  // mistakes that no waiting heals (a missing schema), when there is nothing to record. REQUIRES: every job
  // that this sub-worker still holds is among `outcomes`.
  std::optional<Visit> visit(const std::vector<KeptOutcome>& outcomes, int max_jobs);

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
  // One visit() on its way.
  struct Errand {
    std::vector<KeptOutcome> left;  // neither recorded nor refused yet
    int max_jobs = 0;
    bool apart = false;       // outcomes and fetch were refused together: first the ones, then the other
    bool one_by_one = false;  // the outcomes were refused by themselves: find out which
    bool around = false;      // the fetch was refused by itself: pass over the row that is at fault
    std::string fetch_error;  // with `around`: what it was refused for
    int conflicts = 0;        // how often the server ended it for the sake of others
    int refusals = 0;         // how often it was refused by an error that does not name the data
    board::Clock::time_point first_refusal;
    Visit answer;
  };

  sys::Tried try_once(Errand& errand);
  void prepare(Errand& errand);
  void exchange(Errand& errand, int max_jobs);
  void record_one_by_one(Errand& errand);
  sys::Tried fetch_around(Errand& errand);
  void tell_refused(const sql::RefusedJob& refused);
  sys::Tried failed(const sql::DatabaseError& error, Errand& errand, int max_jobs);
  sys::Tried refused(const sql::DatabaseError& error, Errand& errand, int max_jobs);
  sys::Tried outcomes_refused(const sql::DatabaseError& error, Errand& errand);
  static bool is_patient(const sql::DatabaseError& error, Errand& errand);
  sql::FetchRequest fetch_request(int max_jobs);
  bool take_permit(bool pending);
  void be_fair();
  void connect();
  void ensure_lease();
  void renew_lease();
  void note_lost_lease();
  void settle(Errand& errand);
  void abandon_lease(Errand& errand, const std::string& why);
  void say(const std::string& what, bool pending);
  void note_end_of_outage();
  bool wait(std::chrono::milliseconds limit, bool pending);

  const config::Config& config_;
  const config::Group& group_;
  const board::Board& board_;
  const Identity identity_;
  const Hooks hooks_;
  board::Slot& slot_;

  std::optional<board::Permit> permit_;
  std::optional<sql::JobManager> manager_;
  sql::WorkerId lease_ = 0;
  std::int64_t leased_since_ns_ = 0;
  // A lease that must be settled before anything else is done: an answer was lost, its row is gone, or an
  // outcome is left to people.
  std::optional<sql::WorkerId> doubtful_lease_;
  std::int64_t next_waited_ns_ = 0;  // when to ask next how long a job has waited
  bool lease_out_of_sight_ = false;  // there was trouble: ask for it before anything is built on it
  PassedOver passed_over_;
  sys::Backoff backoff_;
  bool wait_was_cut_ = false;  // the last wait between two tries was ended by a ring
  sql::Outage outage_;
  sql::Outage fetch_outage_;  // of a fetch that goes well only job by job
};

}  // namespace postpone::subworker
