// Deletes jobs that ended long ago, a few at a time, so that no other session waits for it. Each step is a
// transaction of its own: it looks at a bounded number of jobs, locks only those that it deletes, and passes
// over jobs that another session has locked or that the database refuses to delete (a foreign key of the
// application). The events and attempts of a deleted job go with it.
//
// Every call may throw DatabaseError; the steps before stay done. Not thread-safe.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sql/connect_options.h"
#include "sql/job.h"

namespace postpone::sql {

// Whether a job of this status has ended, and so may be purged.
bool has_ended(JobStatus status);

struct PurgeOptions {
  // Since the last event of the job (that it was scheduled for some time counts for none). A job without
  // events is of no known age, and stays.
  Seconds older_than{0};
  std::vector<JobStatus> statuses;  // REQUIRES: not empty, and has_ended() each
  std::optional<std::string> queue = std::nullopt;
  std::optional<std::string> task = std::nullopt;
  bool dry_run = false;  // count, and delete nothing
};

class Purge {
 public:
  // Connects, as JobManager::connect() does, and notes which jobs exist and what is old now, so that later
  // jobs are not touched.
  static Purge begin(const ConnectOptions& connect_options, PurgeOptions options);
  Purge(Purge&&) noexcept;
  Purge& operator=(Purge&&) noexcept;
  ~Purge();

  // Looks at the next jobs, by id; false when there are none left.
  bool step();

  // So far.
  double done() const;  // from 0 to 1: of the ids
  const std::map<JobStatus, std::int64_t>& deleted() const;

  // "kitchen on host db1, port 5432"
  std::string database() const;

 private:
  struct Impl;
  explicit Purge(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace postpone::sql
