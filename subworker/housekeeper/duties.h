// The things that the housekeeper does again and again, and the loop that walks them.
//
// Each duty is level-triggered: it looks what is to be done and does it. One that fails, whatever the reason
// (a mistake in the data, or ours), is tried again after waits of its own, which grow, and keeps none of the
// others from being done. Only the loss of the connection ends a round: no duty can do anything then.
//
// A lock on a whole table keeps each statement that touches it waiting until its timeout. What is urgent is
// done in between, so that it is late by the timeout of one statement at most, and not by that of all
// together.
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

  // `now`: the clock, which goes on while a duty is done. `on_fault`: a duty has failed; what it gets names
  // the duty and says why.
  Duties(std::function<Clock::time_point()> now, std::function<void(const std::string& fault)> on_fault);

  // In the order in which they are done. The first one is urgent: nothing may keep it waiting for longer than
  // one statement of another one takes.
  void add(Duty duty);

  // Walks all of them once, the urgent one again before each. Throws sql::DatabaseError with remedy
  // `reconnect`.
  void keep_all();
  // The urgent one only. To be called by the others between two statements, however many they need. Throws as
  // keep_all().
  void keep_urgent();
  // How long nothing is to be done.
  Clock::duration until_next() const;
  // There is another connection: what has failed may have been the fault of the one before, and is due again.
  void connected();

 private:
  struct Kept {
    Duty duty;
    std::string said = {};  // what was last said of its failure
  };

  void keep_if_due(Kept& kept);

  const std::function<Clock::time_point()> now_;
  const std::function<void(const std::string&)> on_fault_;
  std::vector<Kept> duties_;
};

}  // namespace postpone::subworker
