#include "termination.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>

namespace libtask::detail {
namespace {

// Written by a signal handler, and read by any thread that asks whether its job should stop.
std::atomic<int> caught_signal{0};

std::atomic<int> g_event{-1};
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void remember_signal(int number) {
  caught_signal = number;
  const int event = g_event;
  if (event < 0) return;
  const int saved = errno;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(event, &one, sizeof one);
  errno = saved;
}

void on_signal(int number, void (*action)(int), unsigned flags) {
  struct sigaction what {};
  what.sa_handler = action;
  what.sa_flags = static_cast<int>(flags);
  sigemptyset(&what.sa_mask);
  sigaction(number, &what, nullptr);
}

}  // namespace

// Handlers see no EINTR that they would not see without libtask (SA_RESTART), so a sleep in one is what ends
// early.
void catch_termination_served() {
  on_signal(SIGTERM, remember_signal, SA_RESTART);
  on_signal(SIGINT, SIG_IGN, 0);
  on_signal(SIGPIPE, SIG_DFL, 0);
}

void catch_termination_by_hand() {
  on_signal(SIGTERM, remember_signal, SA_RESTART | SA_RESETHAND);
  on_signal(SIGINT, remember_signal, SA_RESTART | SA_RESETHAND);
}

std::optional<AbortReason> termination_wish() {
  switch (caught_signal) {
    case 0:
      return std::nullopt;
    case SIGINT:
      return AbortReason::requested;
    default:
      return AbortReason::shutdown;
  }
}

void forget_termination() {
  caught_signal = 0;
}

void wake_at_termination(int event) {
  g_event = event;
}

}  // namespace libtask::detail
