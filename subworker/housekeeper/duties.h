// The things that the housekeeper does again and again, and the loop that walks them.
//
// Each duty is level-triggered: it looks what is to be done and does it. One that fails, whatever the reason (a
// mistake in the data, or ours), is tried again after waits of its own, which grow, and keeps none of the others
// from being done. Only the loss of the connection ends a round: no duty can do anything then.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "sys/retry.h"

namespace postpone::subworker {

class Duties {
 public:
  using Clock = std::chrono::steady_clock;

  struct Duty {
    const char* name;
    // Does what is due by now; throws sql::DatabaseError.
    std::function<void(Clock::time_point now)> keep;
    // When `keep` is to be called next, at the latest.
    std::function<Clock::time_point(Clock::time_point now)> due;
    sys::Pause pause;
  };

  // `now`: the clock, which goes on while a duty is done. `on_fault`: a duty has failed; what it gets names the
  // duty and says why.
  Duties(std::function<Clock::time_point()> now, std::function<void(const std::string& fault)> on_fault);

  // In the order in which they are done.
  void add(Duty duty);

  // Walks all of them once. Throws sql::DatabaseError with remedy `reconnect`.
  void keep_all();
  // How long nothing is to be done.
  Clock::duration until_next() const;
  // There is another connection: what has failed may have been the fault of the one before, and is due again.
  void connected();

 private:
  struct Kept {
    Duty duty;
    std::string said = {};  // what was last said of its failure
  };

  void keep(Kept& kept);

  const std::function<Clock::time_point()> now_;
  const std::function<void(const std::string&)> on_fault_;
  std::vector<Kept> duties_;
};

}  // namespace postpone::subworker
