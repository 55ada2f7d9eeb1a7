// What a sub-worker holds: each job that it has fetched and whose outcome the database is not known to have,
// in one list with its place on the board. This class alone writes those places, in the order that makes a
// death at any moment safe, because it is by the board that the housekeeper decides the jobs of the dead:
//
//   step       board, in this order                 a death after it means for the job
//   hold()     job_id, `fetched`                    never started: it waits again, no attempt is counted
//   hands_over() set and place, `handed`            what the ledger says: never started, or an attempt is lost,
//                                                   or it has succeeded, and is recorded so
//   succeeds() its numbers, `succeeded`             it has succeeded, and is recorded with these numbers
//   keeps()    `fetched`                            never started, as before
//   begins()   `running`                            an attempt is lost
//   ends()     outcome's text, its size, `ended`    it ended, and is recorded with this outcome
//              given back: as before                never started, which is that outcome
//   recorded() `none`                               nothing: the database knows
//   let_go()   `none`                               nothing: the database has said that it is not ours
//   refused()  `running`, another text, `ended`     (in between) an attempt is lost
//
// `none` comes only after the database has answered: until then an outcome that was sent may be lost. A job
// that is on no board was fetched and not started, so hold() may come at any time before begins().
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "board/board.h"
#include "libtask/wire/ledger.h"
#include "sql/job.h"
#include "subworker/worker/unrecorded.h"

namespace postpone::subworker {

struct HeldJob {
  sql::Job job;
  board::JobEntry& entry;
  std::optional<Unrecorded> outcome;  // nothing = it has not ended
  // Fetched, and not begun by then, it goes back; running by then, it is settled.
  std::chrono::steady_clock::time_point horizon;
  bool begun = false;
  bool has_text = false;  // its entry says where in the slot's room for outcomes
};

class HeldJobs {
 public:
  // REQUIRES: the slot is ours, and its entries are free, as Board::reset_slot() leaves them.
  explicit HeldJobs(board::Slot& slot) : slot_(slot) {}

  // A fetch was answered with this job. REQUIRES: fewer than kJobsPerSlot are held.
  HeldJob& hold(sql::Job job, std::chrono::steady_clock::time_point horizon);
  // The job that was fetched first of those that have not ended; null when there is none.
  HeldJob* next();
  // Its horizon; max() when there is none. Those behind it have later ones.
  std::chrono::steady_clock::time_point horizon() const;
  // The task process is about to get it. From here on a wish on the slot to stop the run means this one.
  void begins(HeldJob& held);
  // The task process is about to get these, as the set of this number; none of them has begun. `success`: what
  // is kept of those that succeed, and whether they are deleted, as that outcome says.
  void hands_over(const std::vector<HeldJob*>& set, std::uint32_t number, const sql::Outcome& success);
  // One that was handed over has succeeded, and there is nothing else to be said of it.
  void succeeds(HeldJob& held, const libtask::wire::PlainRun& run, sql::Outcome outcome);
  // One that was handed over has not begun, and will not begin by that.
  void keeps(HeldJob& held);
  // It has ended, or is given back.
  void ends(HeldJob& held, sql::Outcome outcome);
  // It is no longer ours, and has no outcome: `held` is gone when this returns.
  void let_go(const HeldJob& held);

  // What is decided and not known to be recorded, as it is sent.
  std::vector<SentOutcome> unrecorded() const;
  bool has_unrecorded() const;
  bool has_unended() const;
  // Those that have begun, have not ended, and are claimed, not settled.
  std::vector<sql::JobId> claimed_running() const;
  // The database has settled these.
  void settled(const std::vector<sql::JobId>& job_ids);
  // Is there room on the board for the outcome of one more job, and is none held that is too large for the board (with a
  // result, say)? If not, it dies with the sub-worker, and the job loses an attempt: so none is to begin before those outcomes
  // are recorded.
  bool has_room() const;
  // Those that were fetched, and are neither begun nor given back.
  std::vector<HeldJob*> unbegun();
  // Was this job given back, as one that did not begin?
  bool is_given_back(sql::JobId job_id) const;
  // The database has settled the outcome of this job, if one is held.
  void recorded(sql::JobId job_id);
  // The database refuses the outcome of this job, with these words: it takes its next form. Returns the cause
  // that was refused. REQUIRES: unrecorded() has it, and it is not left to people.
  sql::Cause refused(sql::JobId job_id, const std::string& why);

  // Does one of the jobs that were held since this was last asked keep a lock, which its end frees, or has freed? One that has not
  // ended is told of next time, too.
  bool take_freed_lock();

  const std::list<HeldJob>& all() const { return jobs_; }

 private:
  std::size_t free_place() const;
  std::optional<std::uint32_t> free_room(std::size_t bytes) const;
  void write_outcome(HeldJob& held);
  std::list<HeldJob>::iterator find_unrecorded(sql::JobId job_id);

  board::Slot& slot_;
  std::array<bool, board::kJobsPerSlot> taken_{};  // of the slot's places
  std::list<HeldJob> jobs_;  // in the order of their fetch; a list, so that references to its elements stay
  bool freed_lock_ = false;
};

}  // namespace postpone::subworker
