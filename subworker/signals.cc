#include "subworker/signals.h"

#include <atomic>
#include <cerrno>
#include <csignal>

namespace postpone::subworker {
namespace {

// A handler can reach nothing but globals.
std::atomic<int> g_requests{0};
std::atomic<int> g_reopen_requests{0};
std::atomic<board::Doorbell*> g_doorbell{nullptr};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<board::Doorbell*>::is_always_lock_free);

void on_signal(int) {
  const int saved = errno;
  g_requests.fetch_add(1);
  if (auto* doorbell = g_doorbell.load()) doorbell->ring(board::kRungForCommand);
  errno = saved;
}

void on_reopen(int) {
  g_reopen_requests.fetch_add(1);
}

}  // namespace

void install_signal_handlers(board::Doorbell& doorbell) {
  g_doorbell.store(&doorbell);
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  for (int signal_number : {SIGTERM, SIGINT}) ::sigaction(signal_number, &action, nullptr);
  action.sa_handler = on_reopen;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGUSR1, &action, nullptr);
  // A pipe or socket whose other end is gone is an error to be read from errno, not a reason to die.
  action.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &action, nullptr);
}

int requests_to_leave() {
  return g_requests.load();
}

int requests_to_reopen_log() {
  return g_reopen_requests.load();
}

}  // namespace postpone::subworker
