// One visit of a sub-worker to the database on its way: what is left to be recorded, and what is tried next
// when the database says no. Pure: the session carries it out.
//
// An error is about the server (it passes, with a wait), about the lease, or about a row. To find out which
// row, the visit goes on in smaller steps:
//
//   together ─▶ record_first ─▶ one_by_one            outcomes are at fault: each in a transaction of its own
//   together ─▶ one_by_one                            a doubtful lease cannot be settled with its outcomes: each by
//                                                     itself before, so that one does not spoil the others
//   together ─▶ fetch_past_refused                    nothing is to be recorded: the fetch is at fault
//
// An error that names the data (a constraint, a value that does not fit) is believed at once. Any other may
// pass, as while a schema is changed, and is believed after several tries; and, unless the application has
// raised it, after half a minute only.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "sql/job_manager.h"
#include "subworker/worker/unrecorded.h"

namespace postpone::subworker {

// Outcomes, as the job manager takes them.
sql::Ended ended(const std::vector<SentOutcome>& outcomes);

// An outcome that the database does not take in this form.
struct RefusedOutcome {
  sql::JobId job_id = 0;
  std::string why;  // the database's words
};

// What comes of a visit.
struct Visit {
  std::vector<sql::Recorded> recorded;
  std::vector<RefusedOutcome> refused;  // when there are any, nothing was fetched
  sql::Fetched fetched;
  std::chrono::nanoseconds took{0};  // the exchange in which they were fetched
};

// What a visit is to fetch.
struct Wanted {
  int max_jobs = 0;                          // 0 = nothing
  std::vector<std::string> slow_tasks = {};  // sql::FetchRequest::slow_tasks
  bool from_top = false;  // wherever siblings are: what has woken us may be in front of that
};

class VisitPlan {
 public:
  using Clock = std::chrono::steady_clock;

  VisitPlan(std::vector<SentOutcome> outcomes, Wanted wanted)
      : left(std::move(outcomes)),
        max_jobs(wanted.max_jobs),
        slow_tasks(std::move(wanted.slow_tasks)),
        from_top(wanted.from_top) {}

  std::vector<SentOutcome> left;  // neither recorded nor refused yet
  const int max_jobs;             // to be fetched
  const std::vector<std::string> slow_tasks;
  const bool from_top;
  Visit answer;

  enum class Way { together, record_first, one_by_one, fetch_past_refused };
  Way way() const { return way_; }
  // With fetch_past_refused: what the fetch was refused for.
  const std::string& fetch_error() const { return fetch_error_; }
  bool is_pending() const { return !left.empty(); }
  bool leaves_to_people() const;  // one of the outcomes

  // In which circumstances an error came.
  struct At {
    bool connected = true;  // there was a connection before
    bool has_lease = true;
    bool lease_is_doubtful = false;
    int asked_for = 0;  // jobs, in this try
  };
  // What the session has to do, each but the last two with another try after a wait.
  enum class Next {
    again,               // as way() says now
    say_and_again,       // the database is at fault, for now: people are to know
    wait,                // the same, and the lease is out of sight
    reconnect,           // the same, over another connection
    reconnect_in_doubt,  // the same; and what was asked may come true yet, so the lease is doubtful
    lease_is_gone,       // the lease is doubtful: its row is gone
    abandon_lease,       // the lease cannot be settled at all: leave it behind, with its jobs
    hand_back,           // the visit is over: outcomes are refused, see answer
    fail,                // no waiting mends it, and nothing is to be recorded: the error goes to the caller
  };
  Next after(const sql::DatabaseError& error, const At& at, Clock::time_point now);

  // With one_by_one: is the outcome that was sent alone at fault (and not the server, or the lease)?
  bool blames_the_outcome(const sql::DatabaseError& error) const;

  // How a doubtful lease is settled: by the rescue that is used for the dead, which waits for a transaction
  // of the lease that may be in flight. Nothing runs: what we do not know was never started.
  sql::RescueRequest rescue_of(sql::WorkerId lease) const;
  // After that rescue, whose answer stands in `answer`: the outcomes that the rescue did not decide are sent
  // again. One that is left to people becomes `gone`: an earlier rescue (ours, whose answer was lost, or
  // another host's) has decided its job.
  sql::OutcomeTexts undecided();
  // The lease is abandoned: its outcomes are left to people.
  void report_all();

 private:
  Next refused(const sql::DatabaseError& error, const At& at, Clock::time_point now);
  Next outcomes_refused(const sql::DatabaseError& error, const At& at, Clock::time_point now);
  bool may_pass(const sql::DatabaseError& error, Clock::time_point now);
  Next go(Way way);

  Way way_ = Way::together;
  std::string fetch_error_;
  int conflicts_ = 0;  // how often the server ended it for the sake of others
  int refusals_ = 0;   // how often it was refused by an error that does not name the data
  Clock::time_point first_refusal_;
};

}  // namespace postpone::subworker
