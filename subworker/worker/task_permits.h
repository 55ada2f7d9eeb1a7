// The task permits of a sub-worker: of tasks with a concurrency limit it runs jobs only while it holds one
// (board/task_permits.h). One is enough for all jobs of the task that it holds, since it runs one at a time.
//
//   fetch       leaves tasks alone of which no permit is to be had               full_tasks()
//   fetched     takes a permit for each such task; jobs without one are given    may_run()
//               back, unbegun, since another one may have been quicker
//   set ends    keeps what it has for the next fetch: else each end of a job would wake another sub-worker, for
//               nothing
//   next fetch  leaves a task to another group that wants it, for one fetch      full_tasks()
//   fetched     gives back those of tasks of which it has got no job             keep_needed()
//
// While too many are held, since a limit has come or is lower, no holder begins another job: each gives its jobs and its permit
// back, and takes one anew when there is one.
//
// It keeps none for long that it does not need: what comes between the end of a set and the next fetch (a wait for the
// database, say) may take long (rest()), and so may a job of another task in the same set (attend()).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "board/board.h"
#include "board/task_permits.h"
#include "libtask/wire/description.h"
#include "subworker/worker/held_jobs.h"

namespace postpone::subworker {

class TaskPermits {
 public:
  // By the owner of the slot. `board` must outlive it.
  TaskPermits(const board::Board& board, board::PermitHolder holder);

  // The task process has these tasks from now on. `description` must live until the next call.
  void learn(const libtask::wire::Description& description);

  // Right before a fetch: the names of the tasks of which no job could be run. Here a permit is given back
  // that no job needs, if there are too many, or another group wants it.
  std::vector<std::string> full_tasks(const HeldJobs& held);
  // May a job of this task begin? If it has a limit: there is a permit then, and not too many are held.
  bool may_run(const std::string& task);
  // Right after a fetch: are all jobs that are held of tasks of which no further job can begin, with those that begin here?
  // Then what waits behind them is probably nothing for others.
  bool are_used_up_by(const HeldJobs& held);
  // Gives back those of tasks of which no job is held that is still to run.
  void keep_needed(const HeldJobs& held);
  // While a job runs: that; and a task that has got a limit meanwhile counts the job.
  void attend(const HeldJobs& held);
  // While the database is waited for: keep_needed(), once that takes some time.
  void rest(const HeldJobs& held);

 private:
  using Clock = board::Clock;

  // A task of the task process that has a limit.
  struct Limited {
    std::vector<std::string> names;  // its own, and its aliases
    std::uint32_t entry = 0;
    std::optional<board::TaskPermit> permit{};

    bool is_called(const std::string& task) const;
  };

  void follow();
  void read();
  void add(const libtask::wire::TaskDescription& task);
  Limited* find(const std::string& task);
  bool is_full(Limited& task, const HeldJobs& held);
  bool is_overbooked(const Limited& task) const;
  bool is_wanted_elsewhere(const Limited& task) const;
  void pass_on(Limited& task);
  static bool is_needed(const Limited& task, const HeldJobs& held);
  void give_back(Limited& task);

  const board::Board& board_;
  board::Slot& slot_;
  const board::PermitHolder holder_;
  const libtask::wire::Description* description_ = nullptr;
  std::uint32_t epoch_ = 0;
  std::vector<Limited> limited_;
  Clock::time_point last_use_{};
};

}  // namespace postpone::subworker
