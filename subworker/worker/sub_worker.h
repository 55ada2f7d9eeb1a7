// A sub-worker: fetches jobs, has its task process run them, records their outcomes. One thread,
// straight-line code that blocks.
//
//   start:   task process up and greeted ─▶ lease ─▶ first fetch answered ─▶ the supervisor learns of it
//   work:    answer the bell ─▶ record what has ended + fetch the next ─▶ run ─▶ …   until there is nothing
//            It fetches a set of jobs, as many as it can run soon (set_size.h), and runs one after the other.
//            What it has not begun by the prefetch_horizon goes back, while the job before still runs: others
//            can run it. With it goes what has ended.
//   idle:    wait at the doorbell, for the polling interval at most
//   leave:   when ordered to (family/leaving.h): fetches nothing more; a job that runs may end, within the
//            grace that the order gives it, then it is asked to stop, then killed; its outcome is recorded,
//            the lease deleted
//
// Who does what: HeldJobs keeps the jobs and what the board says of them, SetRun runs those of a fetch,
// JobRun announces each of them, Session talks to the database, TaskKeeper sees to the task process, Fence
// says when nothing may run. This class only says what happens next.
//
// A death at any moment costs no job and no outcome. The head of held_jobs.h says what the board shows at
// each step, the head of session.h what the database knows.
#pragma once

#include <optional>
#include <vector>

#include "board/board.h"
#include "board/family.h"
#include "board/ledger.h"
#include "config/config.h"
#include "subworker/family/leash.h"
#include "subworker/family/leaving.h"
#include "subworker/family/log_follower.h"
#include "subworker/worker/fence.h"
#include "subworker/worker/held_jobs.h"
#include "subworker/worker/reporter.h"
#include "subworker/worker/session.h"
#include "subworker/worker/set_run.h"
#include "subworker/worker/task_keeper.h"
#include "sys/retry.h"

namespace postpone::subworker {

class SubWorker {
 public:
  SubWorker(const config::Config& config, const config::Group& group, const board::Board& board,
            Identity identity, Leash leash, board::Ledger ledger);

  // Works until it is ordered to go. An error that no waiting mends ends it too, with a status that names the
  // kind of error to the supervisor.
  board::SubWorkerExit run();

 private:
  using Clock = std::chrono::steady_clock;

  void work();
  void replace_task();
  bool look_for_work(bool rested);
  void take(sql::Fetched& fetched, bool freed_lock);
  int size_of_set(bool rested) const;
  bool may_fetch() const;
  std::optional<sql::Fetched> exchange(int max_jobs, bool from_top);
  void settled(const std::vector<sql::Recorded>& outcomes);
  void lie_down();
  void idle();
  void tick();
  bool leaving();
  bool gives_up(bool pending);
  board::SubWorkerExit leave();
  void let_a_sibling_look() const;
  board::Slot& slot() const { return board_.slot(identity_.slot); }

  const config::Config& config_;
  const config::Group& group_;
  const board::Board& board_;
  const Identity identity_;
  const Leash leash_;
  Leaving leaving_;
  Reporter reporter_;
  LogFollower log_follower_;
  Session session_;
  Fence fence_;
  TaskKeeper tasks_;
  HeldJobs held_;
  SetRun set_run_;
  // Until it fetches again, after an outcome that had to be left to people: where the database refuses every
  // outcome, a sub-worker must not run through the queue and leave all of its jobs in `doing`.
  sys::Pause refusals_{{std::chrono::seconds(1), std::chrono::minutes(1)}};
  bool ready_ = false;
};

}  // namespace postpone::subworker
