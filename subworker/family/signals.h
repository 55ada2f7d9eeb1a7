// The signals of a member: SIGTERM and SIGINT ask it to leave, SIGUSR1 asks it to open its log file again,
// and the kernel sends kSupervisorDeathSignal when the supervisor dies.
#pragma once

#include "board/board.h"

namespace postpone::subworker {

// Installs the handlers, which count and ring a doorbell, so that no wait outlasts a signal. They stay for
// the rest of the process: after the end of this object they only count, since a signal may still come while
// the process exits, and the board is no longer there. One at a time.
class SignalHandlers {
 public:
  // `in_family`: a supervisor has started this process, so a SIGHUP comes from no terminal, and is ignored.
  // REQUIRES: the doorbell outlives this object.
  SignalHandlers(board::Doorbell& doorbell, bool in_family);
  ~SignalHandlers();
  SignalHandlers(const SignalHandlers&) = delete;
  SignalHandlers& operator=(const SignalHandlers&) = delete;
};

// How often this process was asked to leave: 0 = not, 1 = finish what runs, more = now.
int requests_to_leave();

// How often this process was asked to open its log file again.
int requests_to_reopen_log();

}  // namespace postpone::subworker
