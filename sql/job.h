// Jobs and what happens to them, as plain values. Nothing here knows libpq.
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postpone::sql {

using JobId = std::int64_t;
using WorkerId = std::int64_t;
using Seconds = std::chrono::duration<double>;
using SystemTime = std::chrono::system_clock::time_point;  // microseconds matter, as in PostgreSQL

// A moment as PostgreSQL keeps it: from 4713 BC to the year 294276, and both infinities. SystemTime reaches
// from 1678 to 2261 only, so what a program shows of the database is read as this.
class DatabaseTime {
 public:
  constexpr DatabaseTime() = default;
  // The ends of SystemTime stand for the infinities.
  constexpr DatabaseTime(SystemTime time)  // NOLINT(google-explicit-constructor): each one is a moment, too
      : count_(time == SystemTime::max() ? kInfinity
               : time == SystemTime::min()
                   ? -kInfinity
                   : std::chrono::floor<std::chrono::microseconds>(time).time_since_epoch().count() -
                         kEpoch * 1'000'000) {}
  // Microseconds since 2000, as the server counts: so each of its moments has a number here.
  static constexpr DatabaseTime from_count(std::int64_t count) {
    DatabaseTime time;
    time.count_ = count;
    return time;
  }
  static constexpr DatabaseTime infinity() { return from_count(kInfinity); }
  static constexpr DatabaseTime minus_infinity() { return from_count(-kInfinity); }

  constexpr bool is_finite() const { return count_ != kInfinity && count_ != -kInfinity; }
  // Of a finite one: whole seconds since 1970, and the microseconds after them.
  constexpr std::int64_t seconds() const { return second() + kEpoch; }
  constexpr int microseconds() const { return static_cast<int>(count_ - second() * 1'000'000); }

  friend constexpr auto operator<=>(DatabaseTime, DatabaseTime) = default;

  static constexpr std::int64_t kEpoch = 946'684'800;  // 2000-01-01, in seconds since 1970
  static constexpr std::int64_t kInfinity = std::numeric_limits<std::int64_t>::max();

 private:
  constexpr std::int64_t second() const { return count_ / 1'000'000 - (count_ % 1'000'000 < 0 ? 1 : 0); }

  std::int64_t count_ = -kEpoch * 1'000'000;  // 1970, as of SystemTime
};

// procrastinate_job_status.
enum class JobStatus { todo, doing, succeeded, failed, cancelled, aborting, aborted };
std::string_view to_string(JobStatus status);
std::optional<JobStatus> parse_job_status(std::string_view label);

// Why an attempt ended as it did: postpone_cause, a closed set.
enum class Cause {
  succeeded,
  exception,         // the handler threw
  bad_arguments,     // an argument is missing or of the wrong type
  unknown_task,      // the task executable has no task of that name
  exited,            // the task process called exit()
  signalled,         // the task process died by a signal
  memory_limit,      // killed for its memory, by us or by the kernel
  timed_out,         // outlasted its time limit
  aborted,           // a person or a program asked to abort it
  protocol_error,    // the task process garbled its channel
  output_flood,      // wrote more output than a job may
  worker_lost,       // its sub-worker died
  poison,            // its sub-worker died, max_stalled times
  superseded,        // could not go back to waiting: a job with the same queueing lock waits already
  finished_by_hand,  // no worker ran it any more, and a person decided
};
std::string_view to_string(Cause cause);
std::optional<Cause> parse_cause(std::string_view label);

// What a job that was tried before may still spend (sql/functions/retry_and_cancel.sql).
struct RetryBudget {
  int uncounted = 0;           // so many of its attempts do not count against its task's max_attempts
  std::optional<int> allowed;  // so many counted attempts in all, whatever the task says
  int misfits = 0;  // so many attempts in a row, the last one included and kMostMisfits at most, have
                    // ended with unknown_task or bad_arguments
};
inline constexpr int kMostMisfits = 5;

// A row of procrastinate_jobs.
struct Job {
  JobId id = 0;
  std::string queue;
  std::string task;
  int priority = 0;
  std::optional<std::string> lock;
  std::optional<std::string> queueing_lock;
  std::string args;                  // JSON text, an object
  std::optional<std::string> meta;   // beside the arguments; JSON text, an object
  std::optional<JobId> deferred_by;  // whose handler has; nothing = an application, a schedule or a person
  JobStatus status = JobStatus::todo;
  std::optional<DatabaseTime> scheduled_at;
  int attempts = 0;  // how many attempts came before
  bool abort_requested = false;
  std::optional<WorkerId> worker_id;
  // Of a fetched job: leased, though the database still has it as one that waits (sql/functions/claims.sql).
  bool is_claimed = false;
  // Of a fetched job, if FetchRequest::ask_waited: for how long it could have been run, but for its lock.
  std::optional<Seconds> waited = std::nullopt;
  RetryBudget budget = {};  // of a fetched job
};

// The `traceparent` of such an object (W3C Trace Context), for the log: empty when there is none, when it is no text, or one of
// more than 128 bytes. Pure.
std::string traceparent_in(const std::optional<std::string>& meta);

inline constexpr std::size_t kMaxNameCharacters = 128;  // of a task, a queue, a periodic id: varchar(128)
inline constexpr std::size_t kMaxLockBytes = 2000;      // of both locks: an index entry holds 2704 bytes
inline constexpr std::size_t kMaxResultBytes = 1024UL * 1024;
inline constexpr std::size_t kMaxMetaBytes = 8192;  // as in postpone_check_meta (sql/functions/defer.sql)
inline constexpr std::size_t kMaxNoteBytes = 256;
// Of all jobs that one job defers at its end.
inline constexpr std::size_t kMostDefers = 100'000;
inline constexpr std::size_t kMaxDefersBytes = 32UL * 1024 * 1024;  // as JSON text

// What becomes of a new job while another one waits under its queueing lock (sql/functions/enqueued.sql).
enum class OnConflict { refuse, keep, replace };
std::string_view to_string(OnConflict choice);
std::optional<OnConflict> parse_on_conflict(std::string_view label);

// A job to be created.
struct DeferRequest {
  std::string task;
  std::string queue = "default";
  int priority = 0;
  std::optional<std::string> lock;
  std::optional<std::string> queueing_lock;
  std::string args = "{}";  // JSON text, an object
  // Beside the arguments; JSON text, an object. Among the followers of a job, nothing = as Outcome::inherited_meta says.
  std::optional<std::string> meta;
  std::optional<SystemTime> scheduled_at;  // at that time, or
  std::optional<Seconds> scheduled_in;     // so long after now, by the database's clock
  OnConflict on_conflict = OnConflict::refuse;
};

// The number of the attempt that comes after so many. It stays at the greatest that the database holds.
int next_attempt(int attempts);

// A count of the size that the database counts with; it stays at the greatest that a bigint holds.
constexpr std::int64_t cut_to_signed(std::uint64_t count) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  return count < static_cast<std::uint64_t>(kMost) ? static_cast<std::int64_t>(count) : kMost;
}

// How far a job is, in units of its own.
struct Progress {
  std::uint64_t done = 0;
  std::uint64_t total = 0;  // 0 = not known
  std::string note;         // what it is about; of more than kMaxNoteBytes the beginning is kept

  friend bool operator==(const Progress&, const Progress&) = default;
};

// What is to become of a job that was run (or held). One JSON text that travels as it is: to the board, and
// into postpone_finish_jobs() and postpone_rescue_worker(). Fields: docs/sql.md.
enum class Action { succeed, fail, abort, retry, release };
std::string_view to_string(Action action);

struct Outcome {
  JobId job_id = 0;
  int attempt = 0;  // the attempt that this ends: next_attempt(Job::attempts)
  Action action = Action::fail;
  bool delete_job = false;    // remove the row when the job has ended (not with retry, release)
  bool omit_events = false;   // no event says that it ended
  bool omit_attempt = false;  // of a success: keep no attempt

  // With Action::retry.
  Seconds retry_in{0};
  std::optional<int> new_priority;
  std::optional<std::string> new_queue;
  std::optional<std::string> new_lock;
  bool counts = true;  // against max_attempts, this attempt

  // What the attempts table keeps. Not with Action::release, which leaves no trace.
  Cause cause = Cause::succeeded;
  std::string exception_type;  // of a handler's exception; else empty
  std::string message;
  std::optional<int> signal;
  std::optional<int> exit_status;
  std::string stderr_tail;
  Seconds run_time{0};
  Seconds cpu_time{0};
  std::int64_t max_rss_bytes = 0;

  // Jobs that the handler deferred: created in the same transaction as its success; nothing is created
  // otherwise.
  std::vector<DeferRequest> defers;
  // The meta of those that have none of their own: it is sent once, however many they are.
  std::optional<std::string> inherited_meta;
  // What the handler gave back, JSON text: kept with its success, and not otherwise.
  std::optional<std::string> result;
  std::optional<Progress> progress;  // as it last was; not with Action::release
};

// An outcome of which there is nothing to say but numbers, as nearly all are.
struct Success {
  JobId job_id = 0;
  int attempt = 0;
  Seconds run_time{0};
  Seconds cpu_time{0};
  std::int64_t max_rss_bytes = 0;
  bool delete_job = false;
  bool omit_events = false;
  bool omit_attempt = false;
};
// The outcome as one of those; nothing when there is more to it. Pure.
std::optional<Success> as_success(const Outcome& outcome);

// What the database would refuse in it, a name too long, args that are no JSON object, or what could not be
// meant, an empty name: no configuration can serve the queue "". Empty when nothing. One such job spoils the
// whole statement it stands in, so check what comes from a handler as soon as it comes. Pure.
std::string fault_of(const DeferRequest& request);
// The same of a result: no JSON text, one that no jsonb holds, or more than kMaxResultBytes.
std::string fault_of_result(const std::string& result);
// The same of all that an outcome asks for: another queue or lock, jobs to be created (and how many), a result.
std::string fault_of_wishes(const Outcome& outcome);

// The JSON object. Text that is not valid UTF-8, or that holds a NUL (in args: \u0000), gets U+FFFD in its
// place: PostgreSQL stores neither. Waits are limited to a hundred years. REQUIRES: fault_of_wishes() is empty; throws
// std::invalid_argument otherwise.
std::string to_json(const Outcome& outcome);
std::string to_json(const Success& success);

// The text as PostgreSQL can store it: each NUL byte and each piece that is not UTF-8 replaced by U+FFFD.
std::string storable(std::string_view text);

// What became of an outcome in the database.
enum class Disposition {
  recorded,          // as asked
  superseded,        // was to wait again; a job with its queueing lock waits (`by`): recorded as failed
  already_recorded,  // it stood there before: an earlier commit whose answer was lost
  gone,              // the job is no longer ours (rescued, finished by hand, deleted): nothing was changed
  reported,          // its worker is dead, and it was left as it was, for people to decide
  still_running,     // its worker shows signs of life: nothing was changed
};
struct Recorded {
  JobId job_id = 0;
  Disposition disposition = Disposition::recorded;
  std::optional<JobId> by;
  // The job's status afterwards; of no meaning with `gone` or a deleted job.
  JobStatus status = JobStatus::todo;
};

// One row of postpone_attempts. What an attempt cost is not known where its worker was lost.
struct Attempt {
  JobId job_id = 0;
  int attempt = 0;
  Cause cause = Cause::succeeded;
  std::string exception_type;
  std::string message;
  std::optional<int> signal;
  std::optional<int> exit_status;
  std::string stderr_tail;
  std::optional<Seconds> run_time;
  std::optional<Seconds> cpu_time;
  std::optional<std::int64_t> max_rss_bytes;
  std::optional<WorkerId> worker_id;
  std::string worker_name;  // "supervisor/slot" as registered; stays when the lease is gone
  DatabaseTime ended_at;
};

// What the last attempt of a job has given: one row of postpone_results.
struct GivenResult {
  std::optional<std::string> result;  // JSON text; of a job that has succeeded
  std::optional<Progress> progress;
  DatabaseTime at;
};

// One row of procrastinate_events, whose columns other programs may leave empty.
struct Event {
  std::optional<std::string> type;
  std::optional<DatabaseTime> at;
};

// All conditions that are set must hold.
struct JobFilter {
  std::optional<JobId> id = std::nullopt;
  std::optional<std::string> queue = std::nullopt;
  std::optional<std::string> task = std::nullopt;
  std::optional<std::string> lock = std::nullopt;
  std::optional<std::string> queueing_lock = std::nullopt;
  std::optional<WorkerId> worker_id = std::nullopt;
  std::vector<JobStatus> statuses = {};  // any of these; empty = all
  std::optional<int> limit = std::nullopt;
  bool newest_first = false;  // by id
};

}  // namespace postpone::sql
