// Life under a sub-worker: hello, then job after job until the channel closes.
#pragma once

#include "registry.h"

namespace libtask::detail {

// Returns the exit status for main(): 0 when the sub-worker closed the channel, 70 when it refused us or one
// of both does not speak the protocol (one line on stderr), 1 when the program's set_up() or tear_down() has failed. `variable` is the value of POSTPONE_TASK_CHANNEL.
// REQUIRES: a registry without faults.
int serve(const Registry& registry, const char* variable);

}  // namespace libtask::detail
