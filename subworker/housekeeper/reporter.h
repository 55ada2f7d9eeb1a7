// What the housekeeper reports on the board for people to see: how it stands with the database, what waits in
// the queues, what was rescued.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "board/board.h"
#include "sql/job_manager.h"

namespace postpone::subworker {

class HousekeeperReporter {
 public:
  using Clock = std::chrono::steady_clock;

  // `wanted`: is there a status socket that shows it? Else the queues are not asked for. `patience`: for how
  // long a question may keep the heartbeats waiting.
  HousekeeperReporter(board::Header& header, bool wanted, std::chrono::milliseconds patience);

  void connected(int server_version);
  void disconnected();
  void failed(const std::string& error);
  void heartbeat_committed();
  // Why some schedules do not tick; empty = all do.
  void schedules_trouble(const std::string& why);

  // Asks what waits, when that is due: every few seconds, and never for more than a hundredth of the time.
  // Throws DatabaseError.
  void look_at_queues(sql::JobManager& manager, Clock::time_point now);
  Clock::time_point next_look() const { return next_look_; }

  // Jobs of a dead worker were decided (`lease`; nothing = of a job without a worker). Those in `known` had
  // ended by themselves, and their sub-worker has reported them. What cannot be asked of the database now is
  // not reported: nothing depends on it.
  void rescued(sql::JobManager& manager, std::optional<sql::WorkerId> lease,
               const std::vector<sql::Recorded>& recorded, const std::vector<sql::JobId>& known,
               const std::string& how);

 private:
  void ended(const sql::LastAttempt& attempt, board::Ending ending, const std::string& how);

  board::HousekeeperTelemetry& telemetry_;
  board::DatabaseFacts facts_;
  bool was_lost_;  // it was connected, and is no more: the next connection is another one
  const bool wanted_;
  const std::chrono::milliseconds longest_look_;
  Clock::time_point next_look_;
};

}  // namespace postpone::subworker
