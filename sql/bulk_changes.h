// Changes to many jobs at once: what people ask for when they name jobs by a filter, or by hundreds of ids. A
// batch is one transaction and a few statements, so that ten thousand jobs cost about as much as their
// deletion by a purge; the batches before one that fails stay done.
//
// Every call may throw DatabaseError; after remedy `reconnect` the connection is of no more use. Not
// thread-safe.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sql/connect_options.h"
#include "sql/job.h"

namespace postpone::sql {

// What became of one of many jobs.
struct JobChange {
  enum class What {
    cancelled,
    deleted,
    abort_requested,
    retried,
    superseded,  // stays as it is: a job (`by`) with the same queueing lock waits already
    refused,     // its status does not allow it
    not_found,
    failed,  // the database refused this one, in the words of `problem`
  };
  JobId id = 0;
  What what = What::not_found;
  JobStatus status = JobStatus::todo;  // afterwards; of no meaning when it is deleted or not found
  std::optional<JobId> by = std::nullopt;
  std::string problem = {};
};

// How a job waits again; what is not named stays as it is.
struct RetryOptions {
  std::optional<SystemTime> at = std::nullopt;  // at that time, or
  std::optional<Seconds> in = std::nullopt;     // so long after now, by the database's clock; neither = now
  std::optional<int> priority = std::nullopt;
  std::optional<std::string> queue = std::nullopt;
  std::optional<std::string> lock = std::nullopt;
  // So many attempts more, whatever the task's max_attempts says; nothing = as many as a new job of the task.
  std::optional<int> attempts = std::nullopt;
};

class BulkChanges {
 public:
  // Connects, as JobManager::connect() does.
  static BulkChanges connect(const ConnectOptions& options);
  BulkChanges(BulkChanges&&) noexcept;
  BulkChanges& operator=(BulkChanges&&) noexcept;
  ~BulkChanges();

  // The jobs that a filter chooses now, by id.
  std::vector<JobId> find(const JobFilter& filter);

  // How many ids to give to one call, so that no other session waits long for it.
  static constexpr std::size_t kBatch = 1000;

  // todo -> cancelled (or deleted). With `abort` running jobs are asked to stop. In the order of the ids.
  // With `dry_run` here and below nothing is changed, and the answer is what would become of them.
  std::vector<JobChange> cancel(const std::vector<JobId>& ids, bool abort, bool delete_jobs, bool dry_run);

  // Jobs that failed, were cancelled or aborted wait again; with `even_running` those that run, too. A
  // running job that was to be aborted fails instead: `refused`.
  std::vector<JobChange> retry(const std::vector<JobId>& ids, const RetryOptions& options, bool even_running,
                               bool dry_run);

  // "kitchen on host db1, port 5432"
  std::string database() const;

 private:
  struct Impl;
  explicit BulkChanges(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace postpone::sql
