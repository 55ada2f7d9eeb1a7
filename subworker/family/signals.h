// SIGTERM and SIGINT, the request to leave; and what the kernel tells of the supervisor's death.
// SIGUSR1: the request to open the log file again, for one that was sent to the whole family.
#pragma once

#include "board/board.h"

namespace postpone::subworker {

// Installs the handlers, which count and ring `doorbell`, so that no wait outlasts a signal. `in_family`:
// there is a supervisor, and with it nobody at a terminal whose SIGHUP would have to be obeyed. REQUIRES: the
// doorbell lives as long as the process.
void install_signal_handlers(board::Doorbell& doorbell, bool in_family);

// How often this process was asked to leave: 0 = not, 1 = finish what runs, more = now.
int requests_to_leave();

// How often this process was asked to open its log file again.
int requests_to_reopen_log();

}  // namespace postpone::subworker
