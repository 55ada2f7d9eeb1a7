// One TOML file in, one plain struct out.
//
// Keys are spelled as the fields below; config/reference.toml documents each with its default, and a test
// proves that the two agree. Durations are written "250ms", "30s", "5m", "2h", sizes "64KiB", "512MiB",
// "2GiB" (or a bare number of bytes).
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libtask/wire/missed.h"

namespace postpone::config {

using Milliseconds = std::chrono::milliseconds;

// The most jobs that one sub-worker takes at once: the board has as many places for each. To raise it:
// kJobsPerSlot and kLayoutVersion in board/board.h, and the range in docs/configuration.md.
inline constexpr int kMaxPrefetch = 128;

// Of all groups together. Where sub-workers live, on the board, there are as many slots.
inline constexpr int kMaxSubworkers = 1024;

inline constexpr std::size_t kMaxFileBytes = std::size_t{1} << 20;

// [database]
struct Database {
  // A libpq connection string or URI; empty = what libpq finds in PG* variables, a service file, .pgpass.
  // POSTPONE_DATABASE_URL overrides it. Never printed.
  std::string url;
  // Of the one LISTEN connection, when `url` leads through a pooler that cannot LISTEN; empty = `url`.
  std::string listen_url;
  bool listen = true;  // false: no LISTEN connection at all, sub-workers poll
  // Most pooled connections that all sub-workers together hold; 0 = one for each sub-worker. The housekeeper
  // and the LISTEN connection come on top.
  int pool_size = 0;
  Milliseconds connect_timeout{10'000};
  Milliseconds statement_timeout{30'000};  // no answer for so long: the connection is given up for dead

  bool operator==(const Database&) const = default;
};

// [supervisor]
struct Supervisor {
  // Stands in postpone_workers and in the log; empty = the host's name.
  std::string name;
  Milliseconds polling_interval{5'000};  // the longest that a sub-worker idles without looking for work
  // After SIGTERM: how long running jobs may take before they are aborted.
  Milliseconds shutdown_grace{30'000};
  Milliseconds start_deadline{30'000};  // a sub-worker that is not ready by then is killed and started afresh
  // A sub-worker that has not shown a heartbeat on the board for so long is killed.
  Milliseconds subworker_timeout{30'000};
  // First wait before a sub-worker that died unready is started again; doubles.
  Milliseconds respawn_backoff{100};
  Milliseconds respawn_backoff_max{30'000};
  Milliseconds heartbeat_interval{10'000};
  // When no heartbeat has reached the database for so long, sub-workers kill their own tasks.
  Milliseconds fence_after{20'000};
  // Other supervisors take the jobs of a worker that is silent for so long.
  Milliseconds stalled_after{30'000};

  // The supervisor replaces a housekeeper that has shown no sign of life for so long: soon enough that the
  // heartbeats which it has to send are not missed before fence_after.
  Milliseconds housekeeper_timeout() const;

  bool operator==(const Supervisor&) const = default;
};

// What becomes of a job that was running when its worker died, or fell silent.
enum class StalledAction {
  retry,   // it waits again at once
  fail,    // it has failed
  report,  // it is left as it is and keeps its lock, and a warning asks people to decide
};

// [stalled]
struct Stalled {
  StalledAction action = StalledAction::retry;
  // For jobs of workers that are not Postpone's (Python's). No fence stops those: one that was only slow may
  // still be running its job.
  StalledAction foreign_action = StalledAction::report;
  int max_stalled = 3;  // a job may lose so many workers; at the next one it is failed as a poison job

  bool operator==(const Stalled&) const = default;
};

// [[retention.queue]]: what of [retention] is different for a queue.
struct QueueRetention {
  std::string name;                       // required, unique
  std::optional<Milliseconds> succeeded;  // nothing = as [retention] says, here and below
  std::optional<Milliseconds> failed;
  std::optional<Milliseconds> cancelled;
  std::optional<Milliseconds> aborted;

  bool operator==(const QueueRetention&) const = default;
};

// [retention]: how long jobs stay in the database after they have ended so; 0 = for ever.
struct Retention {
  Milliseconds succeeded{0};
  Milliseconds failed{0};
  Milliseconds cancelled{0};
  Milliseconds aborted{0};
  std::vector<QueueRetention> queues;  // [[retention.queue]]

  bool operator==(const Retention&) const = default;
};

enum class LogFormat { text, json };

// What `level` may be, from the most talkative to the quietest.
inline constexpr std::array<std::string_view, 5> kLogLevels{"trace", "debug", "info", "warning", "error"};

// The subjects of log lines: the names in `levels`, as sys/log.h has them.
inline constexpr std::array<std::string_view, 6> kLogComponents{"supervisor", "subworker", "housekeeper",
                                                                "database",   "job",       "task"};

// [log]
struct Log {
  std::string level = "info";  // one of kLogLevels
  // Of components that have a level of their own: one of kLogComponents, and one of kLogLevels.
  std::vector<std::pair<std::string, std::string>> levels;
  LogFormat format = LogFormat::text;
  // An absolute path, as `executable`; empty = standard error.
  std::string file;

  bool operator==(const Log&) const = default;
};

// [status]
struct Status {
  // The Unix socket that the supervisor answers on, an absolute path here; empty = none.
  std::string socket;
  int mode = 0660;    // of the socket
  std::string group;  // it belongs to; empty = the supervisor's own

  bool operator==(const Status&) const = default;
};

enum class DeleteJobs { never, successful, always };
enum class KeepEvents { full, none };
enum class KeepAttempts { full, failures };

// What becomes of a job that is fetched, and whose task the executable does not have.
enum class UnknownTask {
  fail,   // it has failed
  retry,  // it waits again, a few times over some minutes, and has failed then
  leave,  // it waits as before, for a worker that has the task
};
// Of a job whose handler cannot use its arguments.
enum class BadArguments { fail, retry };

// [[group]]: sub-workers that serve the same queues with the same task executable
struct Group {
  std::string name;  // required, unique; letters, digits, '-', '_' and '.', at most 63 of them
  // Required. In the file relative to the file's directory, here an absolute path. Symbolic links stay, so
  // that "current/tasks" may point to something newer tomorrow.
  std::string executable;
  std::vector<std::string> arguments;
  std::string user;  // that task processes run as; empty = the supervisor's own
  // Environment of the task processes, on top of the supervisor's own without its database secrets.
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<std::string> queues;  // empty = all queues
  int count = 1;
  // The most jobs that a sub-worker takes at once; how many it does take follows their run time.
  int prefetch = kMaxPrefetch;
  Milliseconds prefetch_horizon{50};  // the longest that a sub-worker keeps a job that it has not begun
  DeleteJobs delete_jobs = DeleteJobs::never;
  KeepEvents events = KeepEvents::full;        // of jobs that start and end here
  KeepAttempts attempts = KeepAttempts::full;  // failures: no row for an attempt that succeeded
  UnknownTask unknown_task = UnknownTask::retry;
  BadArguments bad_arguments = BadArguments::retry;
  bool fresh_process_per_job = false;
  int max_jobs = 0;  // a task process is replaced after so many jobs (0 = never), less up to max_jobs_jitter
  int max_jobs_jitter = 0;
  std::int64_t max_rss = 0;       // bytes; replaced after a job that leaves it larger than this (0 = never)
  std::int64_t memory_limit = 0;  // bytes; killed when it grows beyond this while a job runs (0 = no limit)
  Milliseconds max_age{0};        // replaced after a job when it is older (0 = never)
  Milliseconds time_limit{0};     // of jobs whose task sets none (0 = no limit)
  // A job that runs for so long is logged with its stack, again at growing intervals (0 = never).
  Milliseconds slow_after{0};
  Milliseconds abort_grace{10'000};  // between asking a task to stop (should_abort, SIGTERM) and SIGKILL
  // Bytes that one job may write to stdout and stderr before it is stopped.
  std::int64_t max_output = 16LL * 1024 * 1024;

  bool operator==(const Group&) const = default;
};

// [[schedule]]: a task whose jobs are deferred at the ticks of a cron expression, beside the schedules of the
// task executables. One with the task and the id of such a schedule takes its place.
struct Schedule {
  std::string task;  // required; of a group here, or of any other program that shares the database
  std::string cron;  // required
  std::string id;    // different for each of several schedules of one task
  std::string zone = "UTC";
  std::string arguments = "{}";  // JSON text, an object
  libtask::wire::Missed missed = libtask::wire::Missed::last;
  Milliseconds missed_within = libtask::wire::kMissedWithin;
  // Empty, or nothing = as the task says; of a task of no group here: "default", 0, none, none.
  std::string queue;
  std::optional<int> priority;
  std::string lock;
  std::string queueing_lock;

  bool operator==(const Schedule&) const = default;
};

struct Config {
  Database database;
  Supervisor supervisor;
  Stalled stalled;
  Retention retention;
  Log log;
  Status status;
  std::vector<Group> groups;  // in the order of the file; at least one
  std::vector<Schedule> schedules;

  // The names of the groups whose sub-workers serve this queue; of all groups for an empty name, which means:
  // any queue.
  std::vector<std::string> groups_serving(std::string_view queue) const;
  int total_subworkers() const;
  // Pooled connections the sub-workers may hold together: pool_size, or one each.
  int effective_pool_size() const;

  bool operator==(const Config&) const = default;
};

// One thing that is wrong with the file.
struct Problem {
  int line = 0;  // 1-based; 0 = the file as a whole
  int column = 0;
  // What, where (key), what to do: unknown key "coutn" in [[group]], did you mean "count"?
  std::string message;
};

// Either a configuration, or every problem that was found (not only the first).
struct ParseResult {
  std::optional<Config> config;
  std::vector<Problem> problems;  // in the order of the file
};

// Whether the parser looks at the files, users and groups that a configuration names. A sub-worker trusts
// them: the supervisor has checked, and a program of one group that is missing for a moment must not keep
// sub-workers of other groups from starting.
enum class Files { check, trust };

// Parses and checks the text of a configuration. `directory` is what relative paths are relative to, itself
// relative to the working directory unless absolute; checks of the file system (is the executable there, may
// it be executed) are part of it. `path`, if given, is the file that the text is from, which the log must not
// be written to.
ParseResult parse(std::string_view text, const std::string& directory, Files files = Files::check,
                  const std::string& path = {});

// The text of a configuration file, or of a pipe. Throws std::system_error when it cannot be read, or is
// larger than any configuration is (EFBIG).
std::string read_text(const std::string& path);

// Reads the file and parses it; an unreadable file is a Problem too.
ParseResult load(const std::string& path);

// "demo.toml:12:3: unknown key …", or "demo.toml: cannot be read: No such file or directory".
std::string to_string(const Problem& problem, const std::string& path);

// What a command line and the environment say on top of the file. An empty database_url says nothing, as an
// environment variable that is set to nothing counts as unset.
struct Overrides {
  std::optional<std::string> database_url;  // --database-url, else POSTPONE_DATABASE_URL
  std::optional<std::string> log_level;     // --log-level
};
// The one place where overrides meet a configuration.
void apply(const Overrides& overrides, Config& config);

// "1500ms" or "1.5s" -> 1500 ms; units ms, s, m, h, d. Nothing when the text is not of that form, does not
// fit, or is not a whole number of milliseconds: rounding "0.4ms" down to 0 would turn a limit into "no
// limit".
std::optional<Milliseconds> parse_duration(std::string_view text);
// "512MiB" -> bytes; units B, KiB, MiB, GiB, TiB and kB (or KB), MB, GB, TB; without a unit, bytes. Nothing
// as above.
std::optional<std::int64_t> parse_size(std::string_view text);
// "42", "-5", "007" -> the number: decimal digits, at most a '-' before them, whatever a library would make
// of "0x6f", "010" or "1e3". Nothing when the text is not of that form, or the number is not within these
// limits. Command lines read their whole numbers with it.
std::optional<std::int64_t> parse_whole_number(std::string_view text, std::int64_t lowest,
                                               std::int64_t highest);
// "2", "0.25" -> the number: decimal digits, with at most one point between them. Nothing as above.
std::optional<double> parse_decimal(std::string_view text, double lowest, double highest);
// The shortest text that parse_duration() reads back to the same value, such as "90s" or "250ms".
std::string format_duration(Milliseconds duration);

}  // namespace postpone::config
