#include "subworker/signals.h"

#include <atomic>
#include <cerrno>
#include <csignal>

namespace postpone::subworker {
namespace {

// A handler can reach nothing but globals.
std::atomic<int> g_requests{0};
std::atomic<board::Doorbell*> g_doorbell{nullptr};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<board::Doorbell*>::is_always_lock_free);

void on_signal(int) {
  const int saved = errno;
  g_requests.fetch_add(1);
  if (auto* doorbell = g_doorbell.load()) doorbell->ring(board::kRungForCommand);
  errno = saved;
}

}  // namespace

void install_signal_handlers(board::Doorbell& doorbell) {
  g_doorbell.store(&doorbell);
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  for (int signal_number : {SIGTERM, SIGINT}) ::sigaction(signal_number, &action, nullptr);
  // A pipe or socket whose other end is gone is an error to be read from errno, not a reason to die. What a
  // terminal sends to everybody is for the supervisor to understand; and a SIGHUP comes from the kernel, too,
  // when the supervisor of a stopped family dies: who died of it would leave behind what its task has
  // started.
  action.sa_handler = SIG_IGN;
  for (int signal_number : {SIGPIPE, SIGHUP, SIGTSTP}) ::sigaction(signal_number, &action, nullptr);
}

int requests_to_leave() {
  return g_requests.load();
}

}  // namespace postpone::subworker
