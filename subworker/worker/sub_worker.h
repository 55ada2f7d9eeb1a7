// A sub-worker: fetches jobs, runs them in its task process, records their outcomes. One thread,
// straight-line code that blocks; it holds one job at a time (its slot on the board has room for more).
//
//   start:   task process up and greeted ─▶ lease ─▶ first look for work answered ─▶ the supervisor is told
//   work:    answer the bell ─▶ finish(previous) + fetch(next) ─▶ run ─▶ …   until there is nothing
//   idle:    wait at the doorbell, for the polling interval at most
//   leave:   told by the board, a signal, or the supervisor's death: fetches nothing more; a job that runs is
//            given the shutdown grace (any time that it takes, when this sub-worker is only replaced or no
//            longer wanted), then told to stop, then killed; its outcome is recorded, the lease deleted
//
// Between deciding an outcome and its commit the outcome stands on the board, so that a SIGKILL in between
// does not lose it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "board/board.h"
#include "board/family.h"
#include "config/config.h"
#include "subworker/family/leash.h"
#include "subworker/family/log_follower.h"
#include "subworker/task/task_process.h"
#include "subworker/worker/fence.h"
#include "subworker/worker/reporter.h"
#include "subworker/worker/session.h"
#include "subworker/worker/unrecorded.h"
#include "sys/retry.h"

namespace postpone::subworker {

class SubWorker {
 public:
  SubWorker(const config::Config& config, const config::Group& group, const board::Board& board,
            Identity identity, Leash leash);

  // Works until told to leave. Errors that nobody can wait out end it with a status that tells the supervisor
  // which.
  board::SubWorkerExit run();

 private:
  using Clock = std::chrono::steady_clock;

  void work();
  bool task_is_fit();
  void replace_task();
  bool look_for_work();
  std::optional<sql::Fetched> exchange(int max_jobs);
  std::vector<KeptOutcome> kept() const;
  void report(const Visit& visit);
  static void tell_disposition(const sql::Recorded& recorded);
  void run_job(const sql::Job& job);
  bool may_start();
  sql::Outcome execute(const sql::Job& job, board::JobEntry& entry);
  std::optional<RunHooks::Stop> on_run_tick();
  void lend_connection();
  void keep(sql::Outcome outcome);
  void write_on_board(std::size_t index);
  void count(const sql::Outcome& outcome);
  void lie_down();
  void idle();
  static void on_output(Output::Stream stream, std::string_view line);
  void tick();
  bool leaving();
  bool retired() const;
  bool leaving_now() const;
  bool gives_up(bool pending);
  board::SubWorkerExit leave();
  void let_a_sibling_look() const;
  void show(const std::string& activity) const;

  const config::Config& config_;
  const config::Group& group_;
  const board::Board& board_;
  const Identity identity_;
  const Leash leash_;
  board::Slot& slot_;
  Reporter reporter_;
  LogFollower log_follower_;
  Session session_;
  Fence fence_;

  std::optional<TaskProcess> task_;
  int task_max_jobs_ = 0;
  std::vector<Unrecorded>
      unrecorded_;  // decided, not known to be recorded; entry i of the slot tells of number i
  // Until it fetches again, after an outcome that had to be left to people: where each one is refused, it
  // must not run through the queue and leave all of its jobs in `doing`.
  sys::Pause refusals_{{std::chrono::seconds(1), std::chrono::minutes(1)}};
  bool ready_ = false;
  bool taken_ = false;        // the job that ran last is no longer ours, and has no outcome
  bool running_ = false;      // a job
  bool freed_lock_ = false;   // by the outcomes that are not recorded
  bool left_behind_ = false;  // something that the last job had started lives on, whatever we try
  std::optional<Clock::time_point> leaving_since_;
};

}  // namespace postpone::subworker
