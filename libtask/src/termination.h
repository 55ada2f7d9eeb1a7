// SIGTERM and SIGINT as a wish that the running job may look at, instead of as an end. The one piece of
// process-wide state in libtask, because signal handlers have nowhere else to write.
#pragma once

#include <optional>

#include "libtask/task.h"

namespace libtask::detail {

// Served: SIGTERM asks the running job to stop, SIGINT is ignored (Ctrl-C in a terminal reaches the
// supervisor too, which decides), SIGPIPE has its default effect whatever was inherited.
void catch_termination_served();

// By hand: SIGINT and SIGTERM ask the job to stop; the second one of a kind ends the process.
void catch_termination_by_hand();

// What the signals since the last forget_termination() ask for. Safe at any time.
std::optional<AbortReason> termination_wish();
void forget_termination();

// Until the next call such a signal also makes this eventfd readable; -1 = none.
void wake_at_termination(int event);

}  // namespace libtask::detail
