// The concurrency limits of tasks on their way from the preflight, which reads them in the task executables, to the
// board, by which sub-workers go.
#pragma once

#include <utility>
#include <vector>

#include "board/board.h"
#include "board/task_permits.h"

namespace postpone::supervisor {

class TaskLimits {
 public:
  // `board` must outlive it.
  explicit TaskLimits(const board::Board& board) : board_(board) {}

  // A preflight begins. What an earlier one has read, and was not taken, is forgotten.
  void begin() { read_.clear(); }
  // It has read this.
  void add(board::LimitedTask task) { read_.push_back(std::move(task)); }
  // It has ended well, and what it has read is in force from now on. The log has what is different.
  void take();

  const std::vector<board::LimitedTask>& in_force() const { return in_force_; }

 private:
  const board::Board& board_;
  std::vector<board::LimitedTask> read_;
  std::vector<board::LimitedTask> in_force_;
};

}  // namespace postpone::supervisor
