// Jobs that run and have to stop: abort requests, and jobs that were taken from their sub-worker in the
// database.
//
// A notification hints that there is one. Any login can send it, and it may come before the sub-worker has
// read the answer to its fetch and written the job on the board. So the database is asked at once, and again
// with growing waits, up to the polling interval, which also makes up for hints that were lost.
#pragma once

#include <chrono>

#include "board/board.h"
#include "config/config.h"
#include "sql/job_manager.h"
#include "sys/backoff.h"

namespace postpone::subworker {

class Stops {
 public:
  using Clock = std::chrono::steady_clock;

  // `board` must outlive it.
  Stops(const config::Supervisor& config, const board::Board& board);

  // There is a hint, or a new connection.
  void look_soon(Clock::time_point now);
  Clock::time_point due() const { return next_look_; }
  // Asks, if that is due, and puts the wishes on the slots. Throws DatabaseError.
  void keep(sql::JobManager& manager, Clock::time_point now);

 private:
  const board::Board& board_;
  sys::Backoff pause_;
  Clock::time_point looked_at_;
  Clock::time_point next_look_;
};

}  // namespace postpone::subworker
