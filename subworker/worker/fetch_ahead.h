// When a sub-worker fetches its next jobs while the last of the present ones still runs, so that the task process need not wait
// for the database in between. Pure: it is told how long things took.
//
// It pays where jobs take a part of the time that an exchange with the database takes, or more. Those that take next to nothing are
// recorded and followed by others in one exchange: a fetch ahead would be an exchange more.
#pragma once

#include <chrono>

namespace postpone::subworker {

class FetchAhead {
 public:
  using Nanoseconds = std::chrono::nanoseconds;

  // `horizon`: the longest that a job may be kept that is not begun.
  explicit FetchAhead(Nanoseconds horizon) : horizon_(horizon) {}

  // The database was asked for jobs, and has answered after so long. `more`: others are waiting.
  void answered(Nanoseconds took, bool more);
  // It was asked in vain: not again before it has answered.
  void failed() { more_ = false; }
  // All that was fetched ahead has gone back unbegun, for a reason that may stand for a while: not again before some answers more.
  void went_back();

  // Is the next fetch to come while a job runs that takes so long, and not after it?
  bool is_wanted(Nanoseconds run_time) const;
  // How long before the end of that job: so that the answer comes in time, and the jobs in it begin in the first half of their
  // horizon.
  Nanoseconds lead() const;

 private:
  const Nanoseconds horizon_;
  double exchange_ns_ = 0;  // the mean; 0 = none is known
  bool more_ = false;
  int rest_ = 0;  // so many answers
};

}  // namespace postpone::subworker
