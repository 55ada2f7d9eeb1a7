// The task process of a sub-worker over time: when it is replaced by a fresh one, and that no fresh one runs
// beside what its predecessor has left.
//
// A process that a job has started and that no signal kills (the kernel keeps it, say) would be taken for a
// helper of the next task process, and be kept. So LeftBehind ends the sub-worker; the supervisor, to which
// the process falls, starts no other sub-worker in this slot until it is dead.
#pragma once

#include <functional>
#include <optional>
#include <stdexcept>
#include <string>

#include "board/board.h"
#include "board/ledger.h"
#include "config/config.h"
#include "subworker/task/task_process.h"
#include "subworker/worker/reporter.h"

namespace postpone::subworker {

// A process that a job has started cannot be killed.
class LeftBehind : public std::runtime_error {
 public:
  LeftBehind();
  // It is left by this job, whose outcome stays on the board, unrecorded, and whose lock stays taken, until
  // the supervisor sees the process dead.
  explicit LeftBehind(sql::JobId job);
};

class TaskKeeper {
 public:
  // All that it refers to must outlive it. `cgroup`: see TaskProcess. `ledger`: of its task processes.
  TaskKeeper(const config::Config& config, const config::Group& group, std::string cgroup,
             board::Ledger ledger, board::Slot& slot, Reporter& reporter);

  // May the present task process be given another job? Why not stands in the log.
  bool is_fit();
  // How many jobs the present one may be given at most, until it is replaced; 1 when there is none.
  int jobs_left() const;
  // The present one has run a job of such a task. When that wanted a process for itself, the next job is likely to want one,
  // too: then one job is left, though a fresh process would take more.
  void ran(const libtask::wire::TaskDescription& task);
  // Ends the present one, starts a fresh one and greets it; `waiting` is called meanwhile, see
  // TaskProcess::greet(). Throws BadTask, sys::SpawnError and LeftBehind.
  void replace(const std::function<void()>& waiting);
  // REQUIRES: replace() was called.
  TaskProcess& process() { return *task_; }

  // The sub-worker begins to be idle, or is idle still: kills what jobs have left behind. Throws LeftBehind.
  void sweep();
  // Now and then while idle: logs the output that belongs to no job, and reports how the process does.
  void look();
  void shut_down();

 private:
  const config::Config& config_;
  const config::Group& group_;
  const std::string cgroup_;
  board::Slot& slot_;
  Reporter& reporter_;
  const board::Ledger ledger_;
  std::optional<TaskProcess> task_;
  int max_jobs_ = 0;             // of the present one
  bool last_was_alone_ = false;  // the last job wanted a process for itself
};

}  // namespace postpone::subworker
