// Waiting for a descriptor until a moment on the steady clock. Inside this room only.
#pragma once

#include <poll.h>

#include <chrono>
#include <span>

namespace postpone::sys {

using SteadyTime = std::chrono::steady_clock::time_point;

// poll() until one of the descriptors is ready (true) or `deadline` has passed (false). Signals do not cut it
// short. Throws std::system_error.
bool poll_until(std::span<pollfd> descriptors, SteadyTime deadline);

// As above, for one descriptor to become readable or to hang up.
bool wait_readable(int fd, SteadyTime deadline);

}  // namespace postpone::sys
