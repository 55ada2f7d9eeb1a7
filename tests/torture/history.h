// What the database says after a torture run, as plain rows: the other half of what the checker compares.
//
// All times are microseconds of the database's clock since its epoch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/torture/journal.h"

namespace postpone::torture {

struct JobRow {
  std::int64_t id = 0;
  std::string task = {};
  std::string lock = {};  // empty = none
  int priority = 0;
  std::string status = {};
  int attempts = 0;
  bool has_worker = false;
  std::int64_t parent = 0;  // the job that deferred it; 0 = none
  int followers = 0;        // how many jobs its success defers
};

// How an attempt ended.
struct AttemptRow {
  std::int64_t job_id = 0;
  int attempt = 0;
  std::string cause = {};
};

// A change of a job's status.
struct EventRow {
  std::int64_t id = 0;
  std::int64_t job_id = 0;
  std::string type = {};
  std::int64_t began_us = 0;      // when its transaction was begun
  std::int64_t committed_us = 0;  // when that was committed
};

// Everything that is known of a run.
struct History {
  std::vector<JournalLine> journal = {};
  std::vector<JobRow> jobs = {};
  std::vector<AttemptRow> attempts = {};
  std::vector<EventRow> events = {};  // all but `scheduled`, by id
  // Jobs that the database acknowledged when they were deferred.
  std::vector<std::int64_t> acknowledged = {};
};

}  // namespace postpone::torture
