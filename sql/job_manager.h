// The job manager: everything that a client and a worker do with jobs, over one connection.
//
// Each call is one statement or one pipeline: one round trip, one transaction, nothing left behind in the
// session, so that the connection may go through a pooler in transaction mode. Every call may throw
// DatabaseError; after remedy `reconnect` the connection is of no more use. Not thread-safe; one manager a
// process.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sql/connect_options.h"
#include "sql/error.h"
#include "sql/job.h"

namespace postpone::sql {

// A finished job's outcomes, as they go into one statement: texts made by to_json(Outcome).
using OutcomeTexts = std::vector<std::string>;

// Jobs that have ended.
struct Ended {
  // Alike in what is kept of them: their flags are those of the first.
  std::vector<Success> successes = {};
  OutcomeTexts outcomes = {};
};

// Behind this job of this priority a fetch looks first.
struct FetchStart {
  int priority = 0;
  JobId id = 0;
};

struct FetchRequest {
  std::vector<std::string> queues = {};  // empty = all
  WorkerId worker_id = 0;
  int max_jobs = 0;  // 0 = fetch nothing
  // So many workers would share what waits, this one included: no more than its part is fetched. From 2 on, the fetch
  // counts what waits (Fetched::waiting).
  int sharers = 1;
  // From the top where there is nothing behind it, where jobs of a higher priority wait, and where the transaction of the
  // fetch has freed a lock that others wait for.
  std::optional<FetchStart> start = std::nullopt;
  bool omit_events = false;  // no event says that the jobs have started
  // Unlocked jobs need not go to `doing` (Job::is_claimed), but for those of slow_tasks: these run for so long that they
  // would have to be settled.
  bool may_claim = false;
  std::vector<std::string> slow_tasks = {};
  bool ask_waited = false;  // fill in Job::waited: one more index probe for each job
  // Jobs to leave alone, and tasks of which all jobs are left alone: see fetch_around().
  std::vector<JobId> passed_over = {};
  std::vector<std::string> passed_over_tasks = {};
};

struct Fetched {
  // Doing now, or claimed, and leased to worker_id; in the order in which they are to be run.
  std::vector<Job> jobs;
  bool more = false;      // another job of these queues could probably be run now
  bool from_top = false;  // it has looked from the top
  // About so many jobs waited before this fetch, as far as it looked; nothing where there was no job, or they were not counted.
  std::optional<int> waiting = std::nullopt;
};

// A job that waits and cannot be started: the database refuses its change to `doing`.
struct RefusedJob {
  Job job;
  std::string reason;  // the database's words
};

struct FetchedAround {
  Fetched fetched;                  // one job at most
  std::vector<RefusedJob> refused;  // they wait as before
};

// What became of the heartbeats of some leases; each by id.
struct Heartbeats {
  std::vector<WorkerId> stored;
  std::vector<WorkerId> locked;  // the lease exists, but another session has locked its row
  std::vector<WorkerId> gone;    // there is no such lease (any more)
};

struct FinishedAndFetched {
  std::vector<Recorded> recorded;  // the successes, then the outcomes, each in their order
  Fetched fetched;
};

struct WorkerDescription {
  std::string supervisor;  // which supervisor, unique on the database: "name:pid:start time"
  std::string host;
  std::string name;  // "kitchen/3"
  int pid = 0;
  std::vector<std::string> queues = {};  // that it serves; empty = all
};

// A job that runs, as its runner knows it.
struct RunningJob {
  WorkerId worker_id = 0;  // the lease
  JobId job_id = 0;
};

struct JobToStop {
  RunningJob job;
  // An abort was asked for. Else the lease does not hold the job any more: its row was deleted, finished,
  // sent back to wait or given to another.
  bool is_held = false;
};

// The earliest jobs that become due after some moment.
struct NextDue {
  SystemTime due_at;  // by the database's clock; at the end of its range for what lies beyond
  Seconds due_in{0};  // from now; negative when it is past
  std::vector<std::string> queues;
};

// What to do with a job that was running when its worker died, unless the board has its outcome.
enum class StalledAction { retry, fail, report };

struct RescueRequest {
  WorkerId worker_id = 0;
  OutcomeTexts outcomes;  // what is known: recorded outcomes, `release` for jobs that were not started
  // Which of the other jobs were running: `action` is for them, the rest was never started and goes back to
  // waiting as it was. Nothing = not known: all of them may have been.
  std::optional<std::vector<JobId>> running;
  StalledAction action = StalledAction::retry;
  int max_stalled = 3;
  std::string message;  // of the worker's end: "sub-worker kitchen/3 (pid 4711): signal 9 (Killed)"
  // Only if it has not been heard of for so long; nothing = it is known to be dead.
  std::optional<Seconds> silent_for;
  // Whoever asks keeps what it asks until flush() has returned, and else asks again. So the commit need not wait
  // for the server's disk, and the jobs can be fetched earlier.
  bool is_kept = false;
};

// A job in `doing` whose worker is gone or silent.
struct StalledJob {
  JobId id = 0;
  std::string task;
  std::string queue;
  std::optional<std::string> lock;
  int attempts = 0;                        // how many attempts came before
  std::optional<DatabaseTime> started_at;  // nothing when no event has it
  std::optional<WorkerId> worker_id;       // nothing = the worker is gone
  // Of one of ours; else empty. Of a reported job, the name is still known.
  std::string worker_name;
  std::string host;
  std::string supervisor;
  std::optional<DatabaseTime> last_heartbeat;
  std::optional<Seconds> silent_for;
  bool foreign = false;   // its worker is not one of ours (Python's), or is not known
  bool reported = false;  // a rescue has left it to people
};

// How a stalled job is rescued by itself.
struct JobRescue {
  JobId job_id = 0;
  StalledAction action = StalledAction::retry;  // not `report`
  std::optional<int> max_stalled;               // nothing = no limit
  Seconds silent_for{0};  // its worker must not have been heard of for so long, or be gone
  std::string message;
};

// What waits in a queue.
struct QueueDepth {
  std::string queue;
  std::int64_t ready = 0;      // could be run now
  std::int64_t scheduled = 0;  // wait for their time
  // How long the job has waited that has been ready longest; nothing when none is ready. A good guess: of
  // each queue only three jobs are looked at, the first by id of those never tried, the first by id of those
  // tried before, and the first by schedule.
  std::optional<Seconds> oldest;
};
struct QueueDepths {
  std::vector<QueueDepth> queues;  // the longest first
  std::int64_t other_queues = 0;   // how many more there are, and what waits in them
  std::int64_t other_ready = 0;
  std::int64_t other_scheduled = 0;
};

// The latest attempt of a job that has ended.
struct LastAttempt {
  JobId job_id = 0;
  std::string task;
  std::string queue;
  int attempt = 0;  // from 1
  std::string cause;
  std::optional<WorkerId> worker_id;
};

// Who holds a lease.
struct Worker {
  WorkerId id = 0;
  std::string name;  // empty, as is `host`, when it is not one of ours
  std::string host;
  Seconds silent_for{0};  // since its last heartbeat
  int pid = 0;            // on that host
};

struct PeriodicDefer {
  DeferRequest job;
  std::string periodic_id;
  std::int64_t timestamp = 0;  // unix seconds of the tick
};

// A schedule that a supervisor serves, as the database and the people who look there are to know it.
struct ServedSchedule {
  std::string cron;
  std::string zone;
  std::string missed;  // "skip", "last", "all"
  Seconds missed_within{0};
  std::string periodic_id;
  DeferRequest job;
};

// Which jobs are removed that ended so long ago.
struct RetentionRequest {
  Seconds older_than{0};
  std::vector<JobStatus> statuses;                       // in queues that are not among own_queues
  std::vector<std::string> own_queues;                   // for which `rules` alone say it
  std::vector<std::pair<JobStatus, std::string>> rules;  // a status, and one of own_queues
  std::int64_t after_event = 0;                          // the walk along the events goes on behind this one
  int most_events = 0;
};
struct Removed {
  std::int64_t up_to_event = 0;
  std::int64_t jobs = 0;
  bool is_end = false;  // the events behind are too young, or there are none
};

class JobManager {
 public:
  // Connects. Throws DatabaseError: reconnect when the server cannot be reached (or says so), bug when it
  // refuses who we are.
  static JobManager connect(const ConnectOptions& options);
  JobManager(JobManager&&) noexcept;
  JobManager& operator=(JobManager&&) noexcept;
  ~JobManager();

  // --- clients ---

  // Creates all jobs or none; ids in the order of the requests, for one that met a waiting job the id of that.
  // Throws AlreadyEnqueued.
  std::vector<JobId> defer(const std::vector<DeferRequest>& requests);
  // Creates those whose queueing lock is free, and passes over the others, whatever their on_conflict says; ids in
  // the order of the requests.
  std::vector<JobId> defer_unless_enqueued(const std::vector<DeferRequest>& requests);
  // The job that waits under this queueing lock; nothing when there is none, or this login may not look.
  std::optional<JobId> waiting_under(const std::string& queueing_lock);
  // All calls between begin() and commit() are one transaction: other connections see all of it or nothing. A
  // connection that ends before commit() has changed nothing. REQUIRES: after a call that throws, no
  // commit().
  void begin();
  void commit();
  // Once per (task, periodic_id, timestamp): nothing when it, or a later one, was deferred before, or the
  // schedule is paused. Throws AlreadyEnqueued, and is done with that tick.
  std::optional<JobId> defer_periodic(const PeriodicDefer& defer);
  std::vector<Job> list(const JobFilter& filter);
  // How many there are, whatever its limit says; statuses without any are left out.
  std::map<JobStatus, std::int64_t> count(const JobFilter& filter);
  // Ends a job that no worker runs any more as `succeeded` or `failed`. `still_running` when its worker had a
  // heartbeat within `silent_for`, unless forced; `gone` when it does not run. Nothing when there is no such
  // job.
  std::optional<Recorded> finish_by_hand(JobId id, JobStatus status, Seconds silent_for, bool force);
  std::vector<Event> events(JobId id);
  std::vector<Attempt> attempts(JobId id);
  // What its last attempt has given; nothing when that is neither a result nor progress.
  std::optional<GivenResult> given_result(const Job& job);

  // --- workers ---

  WorkerId register_worker(const WorkerDescription& description);
  void unregister_worker(WorkerId id);
  // Heartbeats of all these in one statement, which waits for no lock.
  Heartbeats heartbeat(const std::vector<WorkerId>& ids);
  // finish(previous) + fetch(next): one round trip, one transaction. Either half may be empty.
  FinishedAndFetched finish_and_fetch(WorkerId worker_id, const Ended& ended, const FetchRequest& fetch);
  // finish(), while the worker runs other jobs: of those, the ones that are claimed go to `doing`.
  std::vector<Recorded> finish_and_settle(WorkerId worker_id, const Ended& ended,
                                          const std::vector<JobId>& running);
  // How far a job is that the worker runs, in this attempt. False, and nothing is stored, when it is not the worker's any more,
  // or when another session is changing it.
  bool store_progress(WorkerId worker_id, JobId job_id, int attempt, const Progress& progress);
  // Fetches one job, and passes over those that the database refuses to start. For the case that
  // finish_and_fetch() failed although it had nothing to finish: each job that this tries costs a
  // subtransaction. REQUIRES: max_jobs is 1.
  FetchedAround fetch_around(const FetchRequest& fetch);

  // The server makes its plans for functions when a session first needs them, and a job that comes first over
  // a new connection would wait for that, some ten times as long as for its fetch. A rehearsal has them made
  // before: of a fetch and of an outcome, without a job. Behind a pooler, whose sessions are anybody's, it
  // does nothing.
  void rehearse_run();

  // --- housekeeping ---

  // The same for a rescue, without a worker.
  void rehearse_rescue();
  // Exact, in one transaction: locks the worker's row, decides its `doing` jobs, deletes the row. Nothing
  // when the row is gone, or the worker has been heard of after all.
  std::vector<Recorded> rescue_worker(const RescueRequest& request);
  // Returns when all that this connection has committed is as safe as a commit that waits.
  void flush();
  // Workers silent for so long. Rows of postpone_workers only, or of Python's workers too.
  std::vector<WorkerId> stalled_workers(Seconds silent_for, bool include_foreign);
  // When each of our workers had its last heartbeat, by the server's clock; to compare with an earlier
  // answer.
  std::map<WorkerId, std::int64_t> last_heartbeats();  // microseconds, as DatabaseTime counts
  std::optional<Worker> worker(WorkerId id);
  // Jobs whose worker is gone, or was silent for so long; by id.
  std::vector<StalledJob> stalled_jobs(Seconds silent_for);
  // Rescues a stalled job; with it, when its worker is one of ours, all others of that worker, whose lease
  // ends. `still_running` and `gone` as above. Nothing when there is no such job.
  std::vector<Recorded> rescue_job(const JobRescue& rescue);
  // For each of these jobs that exists and has an attempt: its last attempt. By id.
  std::vector<LastAttempt> last_attempts(const std::vector<JobId>& ids);
  // The caller names the jobs that it runs; the answer has those that it must stop.
  std::vector<JobToStop> jobs_to_stop(const std::vector<RunningJob>& running);
  // Notes that this supervisor serves them. For each, up to which tick (unix seconds) it is done with: for a new
  // one, and one that ticks at other times now, that is this moment.
  std::vector<std::int64_t> announce_schedules(const std::string& supervisor,
                                               const std::vector<ServedSchedule>& schedules);
  // One step of a walk, in a transaction of its own; nothing when another session does the same at this moment.
  std::optional<Removed> remove_ended(const RetentionRequest& request);
  // The earliest due time after `after` (nothing = after now) among jobs that wait for their time.
  std::optional<NextDue> next_due(std::optional<SystemTime> after);
  SystemTime server_time();
  // What waits in the `most` longest queues. Its cost grows with the jobs that wait (about 100 ms for
  // 300,000), never with those that have ended; one that takes longer than `limit` is cancelled by the server
  // (DatabaseError, 57014).
  QueueDepths queue_depths(int most, std::chrono::milliseconds limit);
  // As the server calls itself: 150006 is 15.6.
  int server_version() const;
  // Which one was reached: "kitchen on host db1, port 5432".
  std::string database() const;

 private:
  struct Impl;
  explicit JobManager(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace postpone::sql
