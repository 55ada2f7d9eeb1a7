// What a page for operators shows of all hosts together, from the database alone. Reads only.
//
// Each call is one pipeline, or two: read-only transactions that the server ends after
// ConnectOptions::statement_timeout (DatabaseError, wait). None costs more where more jobs have ended, and those
// that count stop counting at kMostCounted: with a million waiting jobs and five million ended ones each call
// takes some ten milliseconds. What has no index (a task, an argument, a status of ended jobs) is looked for
// among kWindow jobs by id, and the answer says where it stopped.
//
// Every call may throw DatabaseError; after remedy `reconnect` the connection is of no more use. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sql/connect_options.h"
#include "sql/job.h"
#include "sql/overview.h"

namespace postpone::sql {

inline constexpr std::int64_t kMostCounted = 10'000;
inline constexpr int kJobsOnPage = 50;
inline constexpr int kWindow = 50'000;          // jobs, by id
inline constexpr int kArgumentsInList = 2'000;  // characters of a job's arguments that a list has

struct BoundedCount {
  std::int64_t count = 0;  // kMostCounted at most
  bool is_more = false;    // there are more
};

// The same moment for all that one answer says.
struct Reading {
  DatabaseTime now;
  std::string database;    // its name
  std::string server;      // "15.6"
  int schema_version = 0;  // 0 = the schema is missing
};

// How a job stands, as people see it: what its status leaves open is decided by its time, lock and worker.

enum class State {
  waiting,
  scheduled,  // for later; was not tried yet
  retrying,   // for later, after an attempt that ended badly
  locked,     // another job of its lock comes first, as far as a fetch has looked
  running,
  stalled,  // in doing, and its worker is gone or silent
  succeeded,
  failed,
  cancelled,
  aborted,
};
std::string_view to_string(State state);

// ---- jobs ----------------------------------------------------------------------------------------

// A condition of a search.
struct JobCondition {
  enum class Field { task, queue, lock, queueing_lock, cause, argument, id_from, id_to };
  Field field = Field::task;
  std::string value = {};     // of task, queue and the locks: * stands for any text
  std::string argument = {};  // whose value is meant, of Field::argument
  bool is_not = false;

  friend bool operator==(const JobCondition&, const JobCondition&) = default;
};

struct JobSearch {
  enum class Tab { all, waiting, scheduled, running, failed, succeeded, cancelled, aborted };
  Tab tab = Tab::all;
  std::vector<JobCondition> conditions;  // all must hold
  // By id, one of them or none: the page behind this id, or the one in front of it.
  std::optional<JobId> before;
  std::optional<JobId> after;
};

struct FleetJob {
  JobId id = 0;
  std::string task;
  std::string queue;
  int priority = 0;
  std::optional<std::string> lock;
  std::optional<std::string> queueing_lock;
  std::optional<std::string> args;  // JSON text; nothing = hidden
  bool args_are_cut = false;        // of a list: only the beginning of a longer text, which is no JSON then
  State state = State::waiting;
  std::optional<DatabaseTime> scheduled_at;
  int attempts = 0;
  // Of the attempt that ended last; nothing when there is none.
  std::optional<std::string> cause;
  std::string message;
  std::optional<Seconds> run_time;
  std::optional<DatabaseTime> last_event_at;
  std::string worker;  // of a job that runs, where it is one of ours
};

struct JobsPage {
  Reading reading;
  std::vector<FleetJob> jobs;  // newest first
  bool has_older = false;      // behind the last one, if there is a last one
  bool has_newer = false;
  // Nothing more was found from here on down to this id, and there are older jobs.
  std::optional<JobId> searched_to;
  // Likewise of JobSearch::after, up to this id, and there are newer jobs.
  std::optional<JobId> searched_up_to;
};

struct JobCounts {
  BoundedCount waiting;  // without those that are scheduled
  BoundedCount scheduled;
  BoundedCount running;
  std::int64_t all = 0;  // an estimate of the server
};

// ---- one job -------------------------------------------------------------------------------------

// Another job in the line of a lock.
struct InLine {
  JobId id = 0;
  std::string task;
  State state = State::waiting;
  std::optional<DatabaseTime> scheduled_at;
};

struct JobPage {
  Reading reading;
  FleetJob job;
  std::optional<std::string> meta;    // JSON text; nothing = none, or hidden
  std::optional<std::string> result;  // likewise
  bool hides_arguments = false;
  bool abort_requested = false;
  std::optional<JobId> deferred_by;
  std::optional<std::string> schedule;  // the periodic id of the tick that deferred it
  std::optional<DatabaseTime> started_at;
  std::optional<DatabaseTime> ended_at;
  std::string waits_for;  // as the view postpone_jobs says it; empty of jobs that do not wait
  std::optional<Progress> progress;
  std::optional<DatabaseTime> progress_at;
  std::optional<Lease> lease;       // of a job that runs
  std::vector<Event> events;        // the oldest first
  std::vector<Attempt> attempts;    // likewise
  std::optional<InLine> holder;     // who runs under its lock
  std::vector<InLine> line;         // who waits for its lock: the first few, in order
  std::int64_t ahead_in_queue = 0;  // counted up to kMostCounted
};

// ---- the others ----------------------------------------------------------------------------------

// What ended within one minute.
struct Minute {
  std::int64_t minute = 0;  // since 1970
  std::int64_t succeeded = 0;
  std::int64_t failed = 0;
  std::int64_t retried = 0;
  std::int64_t aborted = 0;
};

struct RunningJobNow {
  FleetJob job;
  std::optional<DatabaseTime> started_at;
  std::optional<Progress> progress;
  std::string host;
};

struct FleetFigures {
  Reading reading;
  BoundedCount ready;
  BoundedCount scheduled;
  BoundedCount locked;
  BoundedCount running;
  std::int64_t all_jobs = 0;             // an estimate of the server
  bool is_empty = false;                 // there is no job
  std::optional<DatabaseTime> next_due;  // of the jobs that are scheduled
  std::optional<FleetJob> next;          // which a fetch would take first
  // The last hour, as far as the events that were read reach back.
  std::vector<Minute> minutes;
  std::optional<DatabaseTime> minutes_from;
  std::vector<RunningJobNow> longest;  // that run, the oldest first
};

// Attempts that ended in one way: of one task, one cause, one message but for its numbers.
struct FailureGroup {
  std::string task;
  std::string cause;
  std::string detail;   // the exception's type, or the signal's number
  std::string message;  // of the latest
  std::string stderr_tail;
  std::int64_t attempts = 0;
  std::int64_t failed_jobs = 0;  // of these jobs: failed for good
  JobId latest_job = 0;
  DatabaseTime first;
  DatabaseTime last;
  std::string workers;  // some of them
};
struct FailuresPage {
  Reading reading;
  std::vector<FailureGroup> groups;  // the largest first
  std::int64_t attempts = 0;
  std::optional<DatabaseTime> from;  // how far back the events that were read reach; nothing = to the first
  std::optional<std::int64_t> older_from;  // the event before which the next page begins
};

// What waits and runs in one queue, or of one task.
struct QueueLine {
  std::string name;
  BoundedCount ready;
  BoundedCount scheduled;
  BoundedCount locked;
  std::int64_t running = 0;
  std::int64_t workers = 0;  // alive, that serve it; of tasks nothing is known
  std::optional<JobId> next;
  std::string next_task;
  std::optional<Seconds> next_waits;
};
struct QueuesPage {
  Reading reading;
  std::vector<QueueLine> queues;
  bool is_more = false;              // there are more queues than are shown
  std::int64_t foreign_workers = 0;  // alive; nobody knows which queues they serve
};

struct TaskLine {
  std::string name;
  std::int64_t waiting = 0;  // among the jobs that were looked at
  std::int64_t running = 0;
  std::int64_t attempts = 0;
  std::int64_t ended_badly = 0;
  std::optional<Seconds> median;
  std::optional<Seconds> slow;  // 95 of 100 are faster
  std::optional<std::int64_t> memory;
  std::optional<DatabaseTime> last;  // of its attempts
};
struct TasksPage {
  Reading reading;
  std::vector<TaskLine> tasks;
  std::int64_t looked_at = 0;  // so many jobs, the newest
};

struct LockLine {
  std::string lock;
  std::optional<InLine> holder;
  std::string holder_worker;
  std::optional<Seconds> held_for;
  BoundedCount waiting;
  std::optional<InLine> next;
};
struct LocksPage {
  Reading reading;
  std::vector<LockLine> locks;  // those with the longest line first
  bool is_more = false;
  std::vector<InLine> line;  // of the one lock that was asked for: the first that wait
};

struct FleetSchedule {
  std::string task;
  std::string id;
  std::string cron;
  std::string zone;
  std::string queue;
  std::optional<DatabaseTime> last_tick;
  std::optional<JobId> last_job;
  std::optional<State> last_state;  // nothing: that job is gone, or there was none
  std::optional<DatabaseTime> paused_at;
  std::string served_by;
  Seconds silent_for{0};  // since a supervisor said that it serves it
};
struct SchedulesPage {
  Reading reading;
  std::vector<FleetSchedule> schedules;
};

struct WorkersPage {
  Reading reading;
  std::vector<WorkerState> workers;              // by supervisor, then by id; foreign ones last
  std::vector<std::vector<std::string>> queues;  // that each serves; empty = all, or not known
  std::vector<DoingJob> orphans;                 // in doing, and their worker is gone
};

class Fleet {
 public:
  // Connects, as JobManager::connect() does. `hide_arguments`: arguments, meta and results are not even read, nor may they
  // be searched: whoever may ask for a value learns it by guessing.
  static Fleet connect(const ConnectOptions& options, bool hide_arguments);
  Fleet(Fleet&&) noexcept;
  Fleet& operator=(Fleet&&) noexcept;
  ~Fleet();

  bool hides_arguments() const;
  // REQUIRES: no condition on an argument where these are hidden (std::invalid_argument).
  JobsPage jobs(const JobSearch& search);
  JobCounts counts();
  std::optional<JobPage> job(JobId id);  // nothing when there is no such job
  FleetFigures figures();
  FailuresPage failures(std::optional<std::int64_t> before_event);
  QueuesPage queues();
  TasksPage tasks();
  // Of one lock, or the first `most` by name of those that are held, and of those that are waited for.
  LocksPage locks(const std::optional<std::string>& lock, int most);
  SchedulesPage schedules();
  WorkersPage workers();

 private:
  struct Impl;
  explicit Fleet(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Since its last heartbeat: then a worker counts as silent. The default of [supervisor] stalled_after.
inline constexpr Seconds kSilentWorker{30};

}  // namespace postpone::sql
