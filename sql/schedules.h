// The schedules of all supervisors that share a database, for people: which there are, and to pause, resume and
// run them.
//
// Every call may throw DatabaseError. Not thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sql/connect_options.h"
#include "sql/job.h"

namespace postpone::sql {

// A row of postpone_schedules.
struct ScheduleState {
  std::string task;
  std::string id;
  std::string cron;
  std::string zone;
  std::string missed;
  Seconds missed_within{0};
  std::string queue;
  int priority = 0;
  std::optional<std::string> lock;
  std::optional<std::string> queueing_lock;
  std::string args;  // JSON text
  DatabaseTime since;
  DatabaseTime announced_at;
  std::string announced_by;  // the supervisor that has last said that it serves it
  Seconds silent_for{0};     // since then
  // Also of Python's workers, who know of a tick only.
  std::optional<DatabaseTime> last_tick;
  std::optional<JobId> last_job;
  std::optional<DatabaseTime> paused_at;
};

class Schedules {
 public:
  // Connects, as JobManager::connect() does.
  static Schedules connect(const ConnectOptions& options);
  Schedules(Schedules&&) noexcept;
  Schedules& operator=(Schedules&&) noexcept;
  ~Schedules();

  // By task and id.
  std::vector<ScheduleState> list(const std::optional<std::string>& task);
  // The server's clock, in unix seconds.
  std::int64_t now();
  // False when there is no such schedule.
  bool pause(const std::string& task, const std::string& id);
  bool resume(const std::string& task, const std::string& id);
  // The job; nothing when there is no such schedule. Throws AlreadyEnqueued.
  std::optional<JobId> run(const std::string& task, const std::string& id);
  std::string database() const;

 private:
  struct Impl;
  explicit Schedules(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace postpone::sql
