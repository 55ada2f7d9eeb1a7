#include "sys/deadline.h"

#include <algorithm>
#include <cerrno>
#include <limits>

#include "sys/fd.h"

namespace postpone::sys {

namespace {

// Rounded up, so that a poll() that times out does not come back before the deadline.
int milliseconds_until(SteadyTime deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return static_cast<int>(
      std::clamp<std::chrono::milliseconds::rep>(left.count(), 0, std::numeric_limits<int>::max()));
}

}  // namespace

bool poll_until(std::span<pollfd> descriptors, SteadyTime deadline) {
  for (;;) {
    const int left = milliseconds_until(deadline);
    const int ready = ::poll(descriptors.data(), descriptors.size(), left);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) throw_errno("cannot poll");
    if (ready == 0 && std::chrono::steady_clock::now() >= deadline) return false;
  }
}

bool wait_readable(int fd, SteadyTime deadline) {
  pollfd descriptor{fd, POLLIN, 0};
  return poll_until({&descriptor, 1}, deadline);
}

}  // namespace postpone::sys
