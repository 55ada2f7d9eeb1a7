// The heartbeats of all leases of this family: one statement every heartbeat_interval. What comes of it is
// written on each sub-worker's slot, where its fence reads it: when its lease was last heard of, or that it
// is lost.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <vector>

#include "board/board.h"
#include "config/config.h"
#include "sql/job_manager.h"
#include "sys/backoff.h"

namespace postpone::subworker {

class Heartbeats {
 public:
  using Clock = std::chrono::steady_clock;

  // Both must outlive it.
  Heartbeats(const config::Supervisor& config, const board::Board& board);

  // There is a new connection: a heartbeat is due.
  void connected(Clock::time_point now) { next_ = now; }
  Clock::time_point due() const { return next_; }
  // Sends what is due. True when something was sent, and is stored. Throws DatabaseError.
  bool keep(sql::JobManager& manager, Clock::time_point now);

  // What keep() does with the answer to a heartbeat that was begun then (board::boot_ns()). Returns when the
  // next one is due.
  Clock::time_point take(const sql::Heartbeats& heartbeats, std::int64_t begun_ns, Clock::time_point now);

  // The leases that get heartbeats: those of the slots, but for those that are known to be lost.
  std::vector<sql::WorkerId> leases() const;

  // The supervisor is gone, and nothing buries the dead any more. A sub-worker that is silent on the board
  // gets no heartbeats from now on, so that its lease, and the locks of its jobs, come free. One that lives
  // after all is fenced by the same word, before others take its job.
  void disown_silent();

 private:
  void note_good(board::Slot& slot, sql::WorkerId lease, std::int64_t begun_ns) const;
  static void report_lost(board::Slot& slot, std::uint32_t index, sql::WorkerId lease);
  void report_locked(const std::vector<sql::WorkerId>& leases);

  const config::Supervisor& config_;
  const board::Board& board_;
  Clock::time_point next_;
  sys::Backoff locked_backoff_;          // until the next heartbeat, while a lease's row is locked
  std::map<sql::WorkerId, int> missed_;  // in a row, by leases whose rows are locked
};

}  // namespace postpone::subworker
