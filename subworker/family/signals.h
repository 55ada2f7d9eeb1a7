// The signals of a member: SIGTERM and SIGINT ask it to leave, SIGUSR1 asks it to open its log file again,
// and the kernel sends kSupervisorDeathSignal when the supervisor dies.
#pragma once

#include "board/board.h"

namespace postpone::subworker {

// Installs the handlers, which count and ring `doorbell`, so that no wait outlasts a signal. `in_family`: a
// supervisor has started this process, so a SIGHUP comes from no terminal, and is ignored. REQUIRES: the
// doorbell lives as long as the process.
void install_signal_handlers(board::Doorbell& doorbell, bool in_family);

// How often this process was asked to leave: 0 = not, 1 = finish what runs, more = now.
int requests_to_leave();

// How often this process was asked to open its log file again.
int requests_to_reopen_log();

}  // namespace postpone::subworker
