// Everything that the status socket shows, as plain values of one moment. The functions that make texts of it
// (json.cc, metrics.cc, judge.cc) are pure, and know no clock and no board.
//
// Times are nanoseconds of CLOCK_MONOTONIC, as on the board, 0 = never; `now_ns` is the moment they are to be
// compared with, and `now_unix_ns` the same moment for people.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "board/telemetry.h"
#include "sql/listener.h"
#include "supervisor/crew/standing.h"

namespace postpone::supervisor::status {

enum class Phase { preflight, working, draining };
enum class State { starting, running, paused, degraded, draining };
inline constexpr std::array<const char*, 5> kStateNames{"starting", "running", "paused", "degraded",
                                                        "draining"};

// By board::Ending; the same words on every page.
inline constexpr std::array<const char*, board::kEndings> kEndingNames{"succeeded", "failed", "retried",
                                                                       "aborted"};

// Pages show times in seconds.
constexpr double seconds(std::int64_t ns) {
  return static_cast<double>(ns) / 1e9;
}
constexpr double seconds(std::uint64_t ns) {
  return static_cast<double>(ns) / 1e9;
}

struct Trouble {
  std::int64_t at_ns = 0;
  std::string text;
};

// A reading of the configuration file after the start.
struct Reload {
  std::int64_t at_ns = 0;
  bool ok = false;
  std::string message;
};

struct Process {
  std::string version;
  std::string name;  // "host:pid:start time", as in postpone_workers
  std::int64_t pid = 0;
  std::int64_t started_ns = 0;
  std::int64_t started_unix_ns = 0;  // as the clock was then: readers recognize a restart by it
  std::string config_file;
  std::optional<Reload> last_reload;
  double cpu_s = 0;
  std::int64_t rss_bytes = 0;
};

// As the housekeeper found it; unknown while there is none, or it has not tried yet.
enum class DatabaseState { unknown, up, down };
inline constexpr std::array<const char*, 3> kDatabaseStateNames{"unknown", "up", "down"};

struct Database {
  DatabaseState state = DatabaseState::unknown;
  std::int64_t since_ns = 0;
  int server_version = 0;  // 150006 is 15.6; 0 = not known
  std::uint64_t connections = 0;
  std::uint64_t reconnects = 0;
  std::int64_t heartbeat_ns = 0;  // when heartbeats last reached it
  std::optional<Trouble> last_error;
};

using ListenState = sql::Listener::State;
inline constexpr std::array<const char*, 3> kListenStateNames{"waiting", "connecting", "listening"};
static_assert(static_cast<std::size_t>(ListenState::listening) == 2);

struct Listen {
  bool wanted = false;  // [database] listen
  ListenState state = ListenState::waiting;
  std::int64_t since_ns = 0;
  int reconnects = 0;
  std::uint64_t notifications = 0;
  std::int64_t last_notification_ns = 0;
  std::int64_t last_probe_ns = 0;  // when a probe came back
  std::optional<Trouble> last_error;
};

struct Pool {
  std::uint32_t size = 0;
  std::uint32_t held = 0;
  std::uint32_t waiting = 0;  // sub-workers
  std::int64_t longest_wait_ns = 0;
};

// How a process of the family ended.
struct End {
  std::int64_t at_ns = 0;
  bool well = false;
  std::string how;  // "exit status 0", "signal 9 (Killed)"
};

// What sub-workers and the housekeeper have in common.
struct Member {
  std::int64_t pid = 0;  // 0 = not running
  bool ready = false;    // got ready, and lives
  bool was_ready = false;
  std::uint64_t births = 0;
  std::uint64_t crashes = 0;       // ends that were not well
  int failures = 0;                // in a row, before it was ready
  std::int64_t next_start_ns = 0;  // while it is not running: when it is started again
  std::int64_t heartbeat_ns = 0;   // on the board
  std::optional<End> last_end;
};

struct Housekeeper {
  Member member;
  std::uint64_t rescued = 0;
  std::string schedules_trouble;  // why some periodic tasks are not deferred; empty = all are
};

struct Job {
  board::RunningJob facts;
  std::optional<board::Progress> progress;
};

// What a sub-worker does: board::SlotState, if it lives.
enum class Activity {
  absent,
  vacant,
  starting,
  idle,
  looking,
  waiting_for_permit,
  running,
  stopping,
  unknown
};
inline constexpr std::array<const char*, 9> kActivityNames{"absent",  "vacant",   "starting",
                                                           "idle",    "looking",  "waiting_for_permit",
                                                           "running", "stopping", "unknown"};

struct SubWorker {
  Member member;
  std::uint32_t slot = 0;
  std::uint32_t group = 0;  // index in Snapshot::groups
  std::uint32_t generation = 0;
  Activity activity = Activity::absent;
  std::int64_t since_ns = 0;
  std::int64_t lease = 0;          // worker_id
  std::int64_t unrecorded_ns = 0;  // when it last left an outcome, which the database refuses, to people
  bool holds_connection = false;
  bool job_known = true;  // false: it was being written each time that we looked
  std::optional<Job> job;
  bool task_known = true;
  std::optional<board::TaskFacts> task;
  std::uint64_t fetched = 0;
  std::array<std::uint64_t, board::kEndings> ended{};  // by board::Ending
  std::uint64_t crashed = 0;
};

// What was counted of sub-workers since the supervisor started.
struct Counts {
  std::uint64_t births = 0;
  std::uint64_t crashes = 0;  // ends of sub-workers that were not well
  std::uint64_t fetched = 0;
  std::uint64_t task_crashes = 0;
  std::array<std::uint64_t, board::kEndings> ended{};  // by board::Ending
  std::uint64_t job_cpu_ns = 0;
  board::HistogramSum run_time;
  board::HistogramSum queue_wait;
  board::HistogramSum wake_up;
};

struct Group {
  std::string name;
  std::vector<std::string> queues;  // empty = all
  Counts counts;                    // of the slots that serve it, and of those that did
  bool gone = false;                // a reload took it out of the configuration
};

struct Total {
  bool registered = false;  // tasks: a task executable has it
  std::array<std::uint64_t, board::kEndings> ended{};
  std::uint64_t run_ns = 0;
  std::uint32_t concurrency_limit = 0;  // tasks: so many jobs may run at a time; 0 = any number
  std::uint32_t concurrency = 0;        // with a limit: so many do, or may at any moment
};
using Totals = std::map<std::string, Total>;

struct Failure {
  std::optional<std::uint32_t> slot;  // nothing = the housekeeper wrote it, of a dead worker
  board::FailedJob facts;
};

struct Snapshot {
  std::int64_t now_ns = 0;
  std::int64_t now_unix_ns = 0;
  Phase phase = Phase::preflight;
  bool paused = false;
  Standing standing;  // how complete the crew is
  Process supervisor;
  Database database;
  Listen listen;
  Pool pool;
  Housekeeper housekeeper;
  std::int64_t fence_after_ns = 0;  // how old heartbeats may grow
  std::vector<Group> groups;
  std::vector<SubWorker> sub_workers;
  Totals tasks;
  Totals queues;
  std::optional<board::QueueFacts> waiting;  // nothing = not known
  std::vector<Failure> failures;             // the newest first
};

}  // namespace postpone::supervisor::status
