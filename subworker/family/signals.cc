#include "subworker/family/signals.h"

#include <atomic>
#include <cerrno>
#include <csignal>

#include "board/family.h"

namespace postpone::subworker {
namespace {

// A handler can reach nothing but globals.
std::atomic<int> g_requests{0};
std::atomic<int> g_reopen_requests{0};
std::atomic<board::Doorbell*> g_doorbell{nullptr};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<board::Doorbell*>::is_always_lock_free);

// The signal that the kernel sends at the death of the supervisor only ends a wait: the leash says what has
// happened.
void on_signal(int signal_number) {
  const int saved = errno;
  if (signal_number != board::kSupervisorDeathSignal) g_requests.fetch_add(1);
  if (auto* doorbell = g_doorbell.load()) doorbell->ring(board::kRungForCommand);
  errno = saved;
}

void on_reopen(int) {
  g_reopen_requests.fetch_add(1);
}

}  // namespace

SignalHandlers::SignalHandlers(board::Doorbell& doorbell, bool in_family) {
  g_doorbell.store(&doorbell);
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  for (int signal_number : {SIGTERM, SIGINT, board::kSupervisorDeathSignal})
    ::sigaction(signal_number, &action, nullptr);
  action.sa_handler = on_reopen;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGUSR1, &action, nullptr);
  // A pipe or socket whose other end is gone is an error to be read from errno, not a reason to die.
  action.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &action, nullptr);
  // The kernel sends SIGHUP to members that are stopped when their supervisor dies. A member that died of it
  // would leave behind what its task has started.
  if (in_family) ::sigaction(SIGHUP, &action, nullptr);
}

SignalHandlers::~SignalHandlers() {
  g_doorbell.store(nullptr);
}

int requests_to_leave() {
  return g_requests.load();
}

int requests_to_reopen_log() {
  return g_reopen_requests.load();
}

}  // namespace postpone::subworker
