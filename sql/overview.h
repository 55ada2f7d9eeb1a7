// What waits, what runs, and who runs it: the questions of people who look after a queue. Reads only.
//
// Whatever is asked of jobs that wait or run costs by their number, however many have ended (the statements
// walk the partial indexes of `todo` and `doing`); only Tally::ended reads all jobs. Waits and ages are
// measured by the database's clock.
//
// Each call is one pipeline: one round trip, one snapshot for each statement. Every call may throw
// DatabaseError; after remedy `reconnect` the connection is of no more use. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sql/connect_options.h"
#include "sql/job.h"

namespace postpone::sql {

// A worker of the database. Foreign ones, Python's, are known by their number only.
struct Lease {
  WorkerId id = 0;
  bool foreign = false;
  std::string name;  // "kitchen/3"; this and what follows is empty of foreign ones
  std::string host;
  std::string supervisor;
  int pid = 0;
  std::optional<DatabaseTime> registered_at;
  DatabaseTime last_heartbeat;
  Seconds silent_for{0};  // since then; infinite for a heartbeat at -infinity
};

// A job in `doing`.
struct DoingJob {
  JobId job_id = 0;
  std::string task;
  std::string queue;
  std::optional<std::string> lock;
  int attempt = 0;                         // from 1
  std::optional<DatabaseTime> started_at;  // nothing when no event has it
  std::optional<Seconds> running_for;
  std::optional<Lease> lease;  // nothing = its worker is gone
};

struct TallyFilter {
  std::optional<std::string> queue = std::nullopt;
  std::optional<std::string> task = std::nullopt;
};

// The jobs of one queue or of one task.
struct Tally {
  struct Ended {
    std::int64_t succeeded = 0;
    std::int64_t failed = 0;
    std::int64_t cancelled = 0;
    std::int64_t aborted = 0;
  };
  // The due job that has waited longest. Among jobs that were retried without a wait it is the one with the
  // lowest id, though another one may have been retried earlier.
  struct Oldest {
    JobId id = 0;
    Seconds waiting{0};
  };
  std::string name;
  std::int64_t todo = 0;
  std::int64_t scheduled = 0;  // of those: not due yet
  std::int64_t doing = 0;
  std::optional<Ended> ended;  // nothing = not asked for
  std::optional<Oldest> oldest;
};

// A lock that is held, or for which jobs wait.
struct LockState {
  std::string lock;
  std::optional<DoingJob> holder;
  std::int64_t waiting = 0;
  // The one that comes next.
  std::optional<JobId> next;
  std::string next_task;
  std::string next_queue;
  std::optional<DatabaseTime> next_scheduled_at;
  bool next_due = false;
};

struct LockFilter {
  std::optional<std::string> lock = std::nullopt;
  bool held = false;         // only those that are held
  std::optional<int> limit;  // held ones come first, then those with the most waiting jobs
};

struct WorkerState {
  Lease lease;
  std::vector<DoingJob> runs;  // by id
};

// Another job of the same lock, which comes first and waits itself.
struct Ahead {
  JobId id = 0;
  std::string queue;
  std::optional<DatabaseTime> scheduled_at;  // in the future; nothing = it is due
};

// Where a job stands: who runs it, or what comes before it.
struct Standing {
  JobStatus status = JobStatus::todo;
  std::optional<DoingJob> run;     // of a job in doing
  std::optional<Seconds> due_in;   // of a waiting job that is scheduled for later; may be infinite
  std::optional<DoingJob> holder;  // who holds the lock of a waiting job
  std::optional<Ahead> ahead;      // the first that waits for the same lock before it
  // How many jobs of the lock, or due ones of the queue, come before a waiting job, counted up to kMany.
  std::int64_t ahead_in_lock = 0;
  std::int64_t ahead_in_queue = 0;
  static constexpr std::int64_t kMany = 10'000;
};

class Overview {
 public:
  // Connects, as JobManager::connect() does.
  static Overview connect(const ConnectOptions& options);
  Overview(Overview&&) noexcept;
  Overview& operator=(Overview&&) noexcept;
  ~Overview();

  enum class By { queue, task };
  // By name. With `count_ended` every job of the table is read: 0.2 s for 300,000 of them.
  std::vector<Tally> tallies(By by, const TallyFilter& filter, bool count_ended);
  std::vector<LockState> locks(const LockFilter& filter);
  // By supervisor, then by id; foreign ones last.
  std::vector<WorkerState> workers();
  // Nothing when there is no such job.
  std::optional<Standing> standing(JobId id);

 private:
  struct Impl;
  explicit Overview(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace postpone::sql
