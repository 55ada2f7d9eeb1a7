// What must hold after a torture run, whatever was killed, stopped or restarted in it. Pure: rows and lines
// in, violations out; tests/torture/checker_test.cc shows for each rule that it can be broken.
//
// An execution is one attempt of one job as the journal shows it: from its `start` to the last line that
// anybody wrote in its name, be it the task process or something it forked away. A task that was killed
// writes no end, and a killed task that lives on writes beats; so no rule asks when a process died, only
// what was proved to live.
//
// Waiting jobs of a lock are taken in order (priority, then id), whatever their queue or schedule. A fetch
// can only know what was committed before it looked, so a job counts as waiting there when it had been
// committed for kVisibleAfter: the database stamps a commit a moment before others can see it, and on a busy
// machine a moment may be long.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/torture/history.h"

namespace postpone::torture {

inline constexpr std::chrono::microseconds kVisibleAfter = std::chrono::seconds(1);

enum class Rule {
  lost,                 // a deferred job is not in the database
  unfinished,           // it waits or runs, though everything has run dry
  lock_overlap,         // two executions of one lock at a time
  job_overlap,          // two executions of one job at a time
  ran_twice,            // one attempt was started twice
  out_of_order,         // a job overtook one of its lock
  order_of_execution,   // tasks ran in another order than their jobs were started in
  unexecuted_outcome,   // a recorded success (or exception) that no task can have had
  uncounted_execution,  // a task ran and no attempt tells of it
  attempts,             // a job's attempts do not add up
  status,               // a job's status is not what its last attempt says
  events,               // its events are no possible history
  followers,            // a success without all that it deferred, or deferred jobs without the success
  stray_sign,           // a line of an execution that never started
};
inline constexpr int kRules = 14;

const char* to_string(Rule rule);

struct Violation {
  Rule rule;
  std::int64_t job_id = 0;
  std::string text = {};
};

// An attempt of a job as the journal shows it.
struct Execution {
  std::int64_t job_id = 0;
  int attempt = 0;
  std::string lock = {};
  int starts = 0;
  bool ended = false;
  std::int64_t started_ns = 0;
  std::int64_t last_sign_ns = 0;
  pid_t pid = 0;       // that started
  pid_t last_pid = 0;  // whose the last sign is
};

// By start.
std::vector<Execution> executions(const std::vector<JournalLine>& journal);

// Empty when everything holds.
std::vector<Violation> check(const History& history);

// All that is known of a job, a line each, for whoever has to explain a violation.
std::string story(const History& history, std::int64_t job_id);

}  // namespace postpone::torture
