// Where log lines go and what stands in each.
//
// A line is one write(2) to standard error or to a file, so that processes that share it never mix theirs. It
// holds the time, the level, the process (role, group and slot, pid), the component, and the job while one
// runs (LogContext). docs/logs.md describes the three forms: text for people, JSON for machines, and text
// without the time but with a priority when standard error is the journal.
//
// sys/logger.h has what writes lines. Like the processes that use it this is for one thread. A process that
// has not called init_log() logs as spdlog does by itself.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace postpone::sys {

// What a line is about; each may have a level of its own.
enum class Component {
  supervisor,   // births, deaths, signals; the check before the start too
  subworker,    // what a sub-worker does besides jobs
  housekeeper,  // leases, periodic tasks
  database,     // connections: lost, back, refused
  job,          // how each job ended, which are slow, and which were rescued
  task,         // what jobs write to stdout and stderr
};

// Members have initializers so that options may name only what differs.
struct LogOptions {
  std::string level = "info";  // trace, debug, info, warning, error
  // Of components that have a level of their own: name, level.
  std::vector<std::pair<std::string, std::string>> levels = {};
  bool json = false;
  std::string file = {};  // an absolute path; empty = standard error
};

// The process that logs. Stands in every line.
struct LogIdentity {
  std::string role;                             // supervisor, sub-worker, housekeeper, preflight
  Component component = Component::supervisor;  // of its sys::log
  std::string group = {};                       // of a sub-worker
  std::optional<std::uint32_t> slot = {};
  // For a second, once, when standard error is full and its reader does not read. Else lines are lost at
  // once.
  bool may_wait = true;
};

// Before the first line. Throws as apply_log().
void init_log(LogIdentity identity, const LogOptions& options);

// Changes everything but the identity, at any time, for a reload; lines before and after are all written.
// Throws std::invalid_argument for a level or component that does not exist, std::system_error when the file
// cannot be opened; then nothing has changed.
void apply_log(const LogOptions& options);

// The levels of all components in one word, never 0, for one process to pass to another. Throws
// std::invalid_argument for a level that does not exist.
std::uint64_t levels_in_a_word(const LogOptions& options);
// Takes them. REQUIRES: levels_in_a_word() has made it.
void apply_levels(std::uint64_t word);

// Opens the log file again by its name, after log rotation has renamed it. False without a file, and when it
// cannot be opened: then lines go to the old one, the first of them an error.
bool reopen_log();

// The job that runs.
struct LoggedJob {
  std::int64_t id = 0;
  std::string task;
  int attempt = 0;
  std::string traceparent = {};  // by which people find it in their traces; empty = none
};

// While it lives every line names this job. One at a time.
class LogContext {
 public:
  LogContext(std::int64_t job_id, std::string task, int attempt, std::string traceparent = {});
  ~LogContext();
  LogContext(const LogContext&) = delete;
  LogContext& operator=(const LogContext&) = delete;
};

// While it lives lines name no job: what is logged now belongs to what was before the job.
class OutsideLogContext {
 public:
  OutsideLogContext();
  ~OutsideLogContext();
  OutsideLogContext(const OutsideLogContext&) = delete;
  OutsideLogContext& operator=(const OutsideLogContext&) = delete;

 private:
  std::optional<LoggedJob> job_;
};

// A line that a job, or its process between two jobs, has written to `stream` ("stdout", "stderr"); component
// task, level info.
void log_output(std::string_view stream, std::string_view line);

// Any JSON value, as text. Text that is none, or is nested deeper than 32 levels, is taken for a string.
struct LogJson {
  std::string text;
};

// What machines get as fields of their own. People read it in the message; each element of a list is a line
// after it, and JSON stands at the message's end.
struct LogField {
  std::string name;
  std::variant<std::int64_t, double, std::string, std::vector<std::string>, LogJson> value;
};

// While it lives every line has these fields. One at a time.
class LogFields {
 public:
  explicit LogFields(std::vector<LogField> fields);
  ~LogFields();
  LogFields(const LogFields&) = delete;
  LogFields& operator=(const LogFields&) = delete;
};

}  // namespace postpone::sys
