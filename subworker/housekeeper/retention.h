// Retention: jobs that ended long ago are removed, as [retention] says.
//
// A walk for each time span goes along the events in the order of their ids, a step at a time
// (sql/functions/retention.sql), up to those that are too young, and goes on from there when some have become
// old enough. Once a day, when it has come to its end, it starts again from the beginning, for what it could not remove at the first
// time.
//
// The steps are so small, and so far apart, that no fetch notices: while a sub-worker runs a job, a walk rests
// for many times as long as its last step took, else as long as that.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "board/board.h"
#include "config/config.h"
#include "sql/job_manager.h"

namespace postpone::subworker {

// One for each time span, with what is to go after it. Pure.
std::vector<sql::RetentionRequest> retention_walks(const config::Retention& retention);

class Retention {
 public:
  using Clock = std::chrono::steady_clock;

  // The board must outlive it.
  Retention(const config::Retention& retention, const board::Board& board);

  Clock::time_point due() const;
  // Makes one step. Throws DatabaseError.
  void keep(sql::JobManager& manager, Clock::time_point now);

 private:
  struct Walk {
    sql::RetentionRequest request;
    Clock::time_point due = {};
    Clock::time_point begun = {};
    bool is_at_end = false;    // of what is old enough
    std::int64_t removed = 0;  // since the last line in the log
  };

  static std::optional<sql::Removed> remove(sql::RetentionRequest& request, sql::JobManager& manager);
  void step(Walk& walk, sql::JobManager& manager, Clock::time_point now);
  bool is_anyone_busy() const;

  const board::Board& board_;
  std::vector<Walk> walks_;
};

}  // namespace postpone::subworker
