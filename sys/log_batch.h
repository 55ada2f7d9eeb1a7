// Many lines at once: while one lives, log lines are gathered, and written together as soon as they are as many
// bytes as a pipe takes as one piece. What is gathered is written at its end, and lost when the process is killed
// before: so let it live for moments only.
#pragma once

namespace postpone::sys {

class LogBatch {
 public:
  LogBatch();
  ~LogBatch();
  LogBatch(const LogBatch&) = delete;
  LogBatch& operator=(const LogBatch&) = delete;
};

}  // namespace postpone::sys
