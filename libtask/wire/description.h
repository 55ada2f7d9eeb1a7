// What a task executable says of itself (--describe, and in its hello), as sub-workers read it. Not part of
// the library that task executables link.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libtask/wire/missed.h"

namespace libtask::wire {

// Procrastinate's rules. The wait is
//   wait + linear_wait * attempts + exponential_wait ^ (attempts + 1)    in seconds,
// where `attempts` counts those before the one that failed. A job whose attempts have reached max_attempts is
// not retried, so it runs at most max_attempts + 1 times; nothing = no limit. No wait is longer than
// max_wait; after that, chance makes it longer or shorter by up to `jitter` of it.
struct RetryStrategy {
  std::optional<int> max_attempts{};
  std::chrono::duration<double> wait{0};
  std::chrono::duration<double> linear_wait{0};
  std::chrono::duration<double> exponential_wait{0};  // its count of seconds is the base; 0 = none
  std::optional<std::chrono::duration<double>> max_wait{};
  double jitter = 0;              // from 0 to 1
  bool on_crash = true;           // after a crash and after a passed time limit, too
  std::optional<int> priority{};  // what a retry changes
  std::optional<std::string> queue{};
  std::optional<std::string> lock{};
};

struct TaskDescription {
  std::string name{};
  std::string queue = "default";
  int priority = 0;
  std::optional<std::string> lock{};
  std::optional<std::string> queueing_lock{};
  std::chrono::milliseconds time_limit{0};  // 0 = the group's
  std::optional<RetryStrategy> retry{};     // nothing = a failure is final
  std::vector<std::string> aliases{};       // other names that jobs of this task may have
  std::int64_t memory_limit = 0;            // bytes; 0 = the group's
  int concurrency_limit = 0;                // of its jobs, under one supervisor; 0 = none
  bool fresh_process = false;               // each of its jobs has a task process of its own
};

struct PeriodicDescription {
  std::string cron{};  // five fields, or six with seconds last
  std::string task{};
  std::string id{};  // different for each of several schedules of one task
  std::string args = "{}";
  std::string zone = "UTC";  // what executables of older versions mean
  Missed missed = Missed::last;
  std::chrono::duration<double> missed_within = kMissedWithin;
};

struct Description {
  std::string libtask_version;
  int protocol_version = 0;
  // The signal that makes the process send a Stack frame while a job runs; nothing when it does not know how.
  std::optional<int> stack_signal{};
  std::vector<TaskDescription> tasks;
  std::vector<PeriodicDescription> periodic;

  // By its name, or by an alias.
  const TaskDescription* find(std::string_view task) const;
};

// Throws std::runtime_error that says which key is wrong.
Description parse_description(std::string_view json);

}  // namespace libtask::wire
