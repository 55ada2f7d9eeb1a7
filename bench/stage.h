// Where most benchmarks take place: a database, a family at work on it, a client, and the journal of its
// jobs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/figures.h"
#include "tests/support/database.h"
#include "tests/support/family.h"

namespace postpone::bench {

inline const std::string kMisbehave = POSTPONE_EXAMPLES_DIR "/misbehave";
// [supervisor]: nothing that is measured was found by polling.
inline const std::string kNoPolling = "[supervisor]\npolling_interval = \"1h\"\n";

// Sections of the configuration. A user's family logs no line for each job; the tests' does, at level debug,
// and waits for what the supervisor says there.
inline const std::string kLogAsUsersDo =
    "[log.levels]\nsubworker = \"info\"\nhousekeeper = \"info\"\ndatabase = \"info\"\njob = \"info\"\ntask = "
    "\"info\"\n";

// The journal that tasks write and this are CLOCK_MONOTONIC both.
inline std::int64_t now_ns() {
  return Clock::now().time_since_epoch().count();
}
inline double ms_between(std::int64_t from_ns, std::int64_t to_ns) {
  return static_cast<double>(to_ns - from_ns) / 1e6;
}

struct Stage {
  // Sub-workers that are ready and idle. `more`: of the configuration, after the keys of [supervisor].
  explicit Stage(const std::string& more = "", int sub_workers = 8, const std::string& group_keys = "");

  std::string journal() const { return files.file("journal"); }
  // One misbehave.journal of so many milliseconds; its id.
  std::string defer(const std::string& more = "", int ms = 0);
  // Every job has ended; throws with the family's log when that takes more than five minutes.
  void wait_until_all_ended();
  // Of so many no-ops that are deferred in one statement, from its commit until all have ended.
  double jobs_per_second(int jobs);
  std::vector<std::int64_t> times_of(const std::string& what) const;  // start, end
  // How long after these moments, one for each job that was deferred, the handlers started.
  std::vector<double> ms_to_start(const std::vector<std::int64_t>& committed_ns) const;

  tests::TestDatabase database;
  tests::TemporaryDirectory files;
  tests::Family family;
  Client client;
};

constexpr int kAnHour = 3'600'000;  // ms: a job that does not end by itself

// Throws with the family's log.
void require(bool done, const std::string& what, const tests::Family& family);

// The executions that have begun, as the journal has them.
std::vector<tests::JournalLine> starts(const std::string& journal);
// Waits until `count` executions have begun, and returns the last one.
tests::JournalLine wait_for_start(const std::string& journal, std::size_t count, const tests::Family& family);

}  // namespace postpone::bench
