// Growing waits between attempts. Pure: time and chance are arguments.
#pragma once

#include <chrono>

namespace postpone::sys {

// Waits that double from `first` up to `most`; each is drawn between half of its nominal length and all of
// it, so that a hundred clients of a restarted server do not come back in one moment.
class Backoff {
 public:
  Backoff(std::chrono::milliseconds first, std::chrono::milliseconds most) : first_(first), most_(most) {}

  // The wait before the next attempt. `chance` lies in [0, 1).
  std::chrono::milliseconds next(double chance);
  void reset() { failures_ = 0; }
  int failures() const { return failures_; }

 private:
  std::chrono::milliseconds first_;
  std::chrono::milliseconds most_;
  int failures_ = 0;
};

// A number in [0, 1) from a per-process generator seeded by the system.
double chance();

}  // namespace postpone::sys
