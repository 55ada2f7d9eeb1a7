// SIGTERM and SIGINT: the request to leave, by hand or by the death of the supervisor (parent-death signal).
#pragma once

#include "board/board.h"

namespace postpone::subworker {

// Installs the handlers, which count and ring `doorbell`, so that no wait outlasts a signal. REQUIRES: the
// doorbell lives as long as the process.
void install_signal_handlers(board::Doorbell& doorbell);

// How often this process was asked to leave: 0 = not, 1 = finish what runs, more = now.
int requests_to_leave();

}  // namespace postpone::subworker
