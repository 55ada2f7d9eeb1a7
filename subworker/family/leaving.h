// Whether a member is to go, and how. Sub-worker, housekeeper and preflight are judged here and nowhere else.
//
//   order     where it comes from                                       what a running job gets
//   leave     the command on the board: a reload replaces the member    all the time that it needs
//   drain     the command on the board; SIGTERM or SIGINT; the end of   shutdown_grace
//             the supervisor
//   stop now  the command on the board; a second signal                 nothing: it is killed
//
// A member that drains goes, whatever the board says later; only `stop now` changes anything then. `leave` is
// read anew each time, because it becomes a drain when a signal comes or the supervisor ends.
#pragma once

#include <chrono>
#include <optional>

#include "board/board.h"
#include "subworker/family/leash.h"

namespace postpone::subworker {

// What a member can see of the wish that it should go.
struct LeaveSigns {
  board::Command command = board::Command::run;
  int signals = 0;  // requests_to_leave()
  bool supervisor_gone = false;
};

// As they are at this moment. `command` is the member's own, on the board.
LeaveSigns leave_signs(board::Command command, const Leash& leash);

// Pure: the signs and the time are arguments.
class Leaving {
 public:
  using Clock = std::chrono::steady_clock;

  // Takes note of the signs. To be called often: a grace counts from the first call that sees a drain.
  void look(const LeaveSigns& signs, Clock::time_point now);

  // Is this member to fetch nothing more and to go, in whatever way?
  bool is_ordered() const { return drains() || signs_.command == board::Command::leave; }
  // Does another process take over, with the same supervisor?
  bool is_replaced() const { return signs_.command == board::Command::leave && !signs_.supervisor_gone; }
  // Has it been ordered to go within a grace?
  bool drains() const { return draining_since_.has_value(); }
  // Must it stop what runs at once?
  bool stops_now() const { return signs_.command == board::Command::stop_now || signs_.signals > 1; }
  // Has it been draining for longer than that?
  bool has_drained_for(Clock::duration grace, Clock::time_point now) const {
    return draining_since_ && now - *draining_since_ > grace;
  }

 private:
  LeaveSigns signs_;
  std::optional<Clock::time_point> draining_since_;
};

}  // namespace postpone::subworker
