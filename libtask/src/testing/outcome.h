// A job that is run without a sub-worker, and what a sub-worker would make of its result. For a person at a
// terminal (by_hand.cc) and for tests (run.cc, harness.cc).
#pragma once

#include "libtask/src/execute.h"
#include "libtask/src/process_life.h"
#include "libtask/testing.h"

namespace libtask::testing::detail {

using libtask::detail::Registry;
namespace wire = libtask::wire;

// The job that a client would defer of this task, as it comes to the handler. Its time limit is that of the
// task.
wire::Run run_of(const Registry& registry, const Call& call, const Options& options);

// `now`: when the run ended.
// `uncounted`: so many of the attempts before it did not count.
Outcome outcome_of(const wire::Run& run, const wire::Result& result, const Registry& registry, TimePoint now,
                   int uncounted = 0);

// As the database has it of a job that somebody has asked to stop: it does not wait again.
void end_if_it_would_wait(Outcome& outcome);

// Runs the job, and says what became of it. REQUIRES: a registry without faults.
Outcome run_here(const wire::Run& run, const Registry& registry, const Options& options);

// While it lives, what the App sets up for a task process is there. Throws std::runtime_error when that fails.
class SetUp {
 public:
  explicit SetUp(const Registry& registry);
  ~SetUp();
  SetUp(const SetUp&) = delete;
  SetUp& operator=(const SetUp&) = delete;

 private:
  const Registry& registry_;
};

// Throws std::logic_error, with all faults of the registry, when App::run() would refuse it.
void require_sound(const Registry& registry);

}  // namespace libtask::testing::detail
