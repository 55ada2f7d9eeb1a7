// What others on the same server do to Postpone, and Postpone to them.
#pragma once

#include <string>
#include <utility>

#include "bench/compare/contender.h"

namespace postpone::bench {

// Works off no-op jobs for load.seconds, and tells how many a second in the last third of them. `is_held`:
// another session holds a snapshot from the beginning, so that nothing that has ended meanwhile can be
// cleaned up.
class UnderSnapshot : public Contender {
 public:
  UnderSnapshot(About about, bool is_held) : Contender(std::move(about)), is_held_(is_held) {}
  Figures measure(const Load& load) override;

 private:
  bool is_held_;
};

// Four clients that defer one job a call for load.seconds, while so many supervisors of 24 sub-workers
// listen. `are_busy`: each of their sub-workers is at a job that does not end, so that none takes a new one
// and what is measured is the notifications alone.
class Producers : public Contender {
 public:
  Producers(About about, int supervisors, bool are_busy)
      : Contender(std::move(about)), supervisors_(supervisors), are_busy_(are_busy) {}
  Figures measure(const Load& load) override;

 private:
  int supervisors_;
  bool are_busy_;
};

// load.jobs times: from the SIGKILL of a sub-worker until its job starts again.
class Rescue : public Contender {
 public:
  explicit Rescue(About about) : Contender(std::move(about)) {}
  Figures measure(const Load& load) override;
};

}  // namespace postpone::bench
