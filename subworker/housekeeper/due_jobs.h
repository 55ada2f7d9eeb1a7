// Scheduled jobs: sub-workers are rung at the moment when one becomes due.
//
// A job becomes due without any process saying so. So the housekeeper knows the earliest due time and sleeps
// until then. It asks anew when that time has come, and when the supervisor has heard that a job was
// scheduled. A transaction may commit after the time for which it scheduled a job, so that question looks
// back a little.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "board/board.h"
#include "config/config.h"
#include "sql/job_manager.h"
#include "subworker/housekeeper/server_clock.h"

namespace postpone::subworker {

class DueJobs {
 public:
  using Clock = std::chrono::steady_clock;

  // All must outlive it.
  DueJobs(const config::Config& config, const board::Board& board, const ServerClock& server_clock);

  // There is a new connection, and the server clock is set: jobs may have been scheduled meanwhile. Another
  // server (after a failover) may have another idea of the time.
  void connected(Clock::time_point now);
  // A job was scheduled.
  void look_soon();

  Clock::time_point due() const;
  // Rings for jobs that are due, and asks for the next; `between` is called between two statements. Throws
  // DatabaseError.
  void keep(sql::JobManager& manager, Clock::time_point now, const std::function<void()>& between);

 private:
  void look_back(std::chrono::seconds back);
  void wake_everybody() const;
  void wake_for(const std::vector<std::string>& queues) const;

  const config::Config& config_;
  const board::Board& board_;
  const ServerClock& server_clock_;
  std::optional<sql::NextDue> next_;  // the next scheduled job, to be woken for at next_at_
  Clock::time_point next_at_;
  std::optional<sql::SystemTime> seen_;  // up to here jobs were woken for; nothing = not connected yet
  std::optional<std::chrono::seconds> look_back_;  // ask for due jobs, from so long before seen_ on
};

}  // namespace postpone::subworker
