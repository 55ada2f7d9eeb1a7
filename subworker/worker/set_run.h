// The jobs that a sub-worker has fetched together, on their way through its task process: one after the
// other, in the order of their fetch. The task process gets as many of them at once as may run without a look
// at each, and says when one needs a look (TaskProcess::run_set()); that one goes on as a job by itself.
//
//   begun at once     while the horizon is not reached, the sub-worker is not ordered to leave, the task process
//                     is fit, and the board has room for what becomes of them; and, of a task with a concurrency
//                     limit, while the sub-worker holds a permit for it
//   given back else   those that have not begun wait again, attempts untouched. When that turns out while a
//                     job runs, they go back at once, and with them what has ended
//
// The horizon of a job is the group's prefetch_horizon after its fetch. A job whose task is known to outlast it ends
// it when it begins.
//
// Shortly before the last of them ends, the next ones are fetched (fetch_ahead.h), and those follow without a wait.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "board/board.h"
#include "config/config.h"
#include "subworker/family/leaving.h"
#include "subworker/task/task_process.h"
#include "subworker/worker/fence.h"
#include "subworker/worker/fetch_ahead.h"
#include "subworker/worker/held_jobs.h"
#include "subworker/worker/job_run.h"
#include "subworker/worker/progress_record.h"
#include "subworker/worker/reporter.h"
#include "subworker/worker/session.h"
#include "subworker/worker/set_size.h"
#include "subworker/worker/task_keeper.h"
#include "subworker/worker/task_permits.h"
#include "sys/retry.h"

namespace postpone::subworker {

class SetRun {
 public:
  // Parts of the sub-worker; all must outlive it.
  struct Parts {
    const config::Config& config;
    const config::Group& group;
    board::Slot& slot;
    const Leaving& leaving;
    Reporter& reporter;
    Session& session;
    Fence& fence;
    TaskKeeper& tasks;
    HeldJobs& held;
  };
  struct Hooks {
    std::function<void()> on_tick;       // at least every 50 ms
    std::function<void()> replace_task;  // the task process cannot be given another job
    std::function<bool()> may_fetch;     // else nothing is kept that has not begun
    std::function<void(const std::vector<sql::Recorded>&)> on_recorded;
    std::function<bool()> is_a_sibling_free;       // and would run what is fetched ahead at once
    std::function<void(Visit&)> on_fetched_ahead;  // is to hold the jobs that were fetched
  };

  SetRun(const Parts& parts, TaskPermits permits, Hooks hooks);

  TaskPermits& permits() { return permits_; }

  // How many jobs to fetch.
  int size() const;
  // Of which tasks a job will most likely outlast the horizon.
  std::vector<std::string> slow_tasks() const { return size_.slow_tasks(); }
  // The database has answered a fetch of a visit after so long. `more`: other jobs are waiting.
  void answered(std::chrono::nanoseconds took, bool more) { ahead_.answered(took, more); }
  // Runs the jobs that were just fetched, `jobs` in number: all that are held and have not ended, and those that it fetches
  // meanwhile. When it returns each of them has ended, was given back, or was taken away. Throws LeftBehind.
  void run(int jobs);
  // The session waits for the database: sees to a job that runs meanwhile.
  void attend();
  // What it would read from, -1 for nothing.
  int attended_fd() const;

 private:
  using Clock = std::chrono::steady_clock;

  bool may_keep_unbegun() const;
  void give_back_unbegun();
  void give_back_unpermitted();
  std::vector<SentOutcome> owed() const;
  // `but_not`: a job whose outcome is not to be recorded.
  void record_beside_run(std::optional<sql::JobId> but_not);
  void record_progress();
  void plan_fetch_ahead(const std::string& task, Clock::time_point since);
  int room_ahead() const;
  void fetch_ahead();
  bool run_next(HeldJob& next);
  std::vector<HeldJob*> to_hand_over();
  void run_several(const std::vector<HeldJob*>& set);
  void take_plain(const std::vector<HeldJob*>& set, const std::vector<libtask::wire::PlainRun>& runs);
  bool goes_on();
  void run_job(HeldJob& held);
  void see_to_survivors(sql::JobId last);
  bool may_start(const sql::Job& next);
  bool wants_fresh_process(const sql::Job& job);
  void execute(JobRun& run);
  void execute_builtin(JobRun& run, const libtask::wire::TaskDescription& task);
  void refuse(JobRun& run, sql::Outcome outcome);
  RunHooks begin(JobRun& run, const libtask::wire::TaskDescription& task);
  void end(JobRun& run, const Execution& execution, const libtask::wire::TaskDescription& task);
  std::chrono::milliseconds time_limit_of(const libtask::wire::TaskDescription& task) const;
  std::optional<RunHooks::Stop> on_run_tick();
  std::optional<RunHooks::Stop> reason_to_stop() const;

  const Parts parts_;
  TaskPermits permits_;
  const Hooks hooks_;
  SetSize size_;
  FetchAhead ahead_;
  Clock::time_point fetch_ahead_at_ = Clock::time_point::max();  // as long as what is handed over now runs
  int begun_ = 0;                                                // jobs of this set
  ProgressRecord progress_;                                      // of the job that runs
  bool records_ = false;                                         // at this moment, while a job runs
  bool fetches_ahead_ = false;                                   // and by that
  std::optional<Clock::time_point> ended_;                       // when that job did, meanwhile
  // After it could not: until it is tried again.
  sys::Pause pause_{{std::chrono::milliseconds(50), std::chrono::seconds(5)}};
};

}  // namespace postpone::subworker
