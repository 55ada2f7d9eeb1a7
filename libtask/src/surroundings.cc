#include "surroundings.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cstring>

#include "termination.h"

namespace libtask::detail {

Surroundings::Surroundings()
    : directory_(open(".", O_PATH | O_DIRECTORY | O_CLOEXEC)), umask_(umask(0)), blocked_{} {
  umask(umask_);
  pthread_sigmask(SIG_SETMASK, nullptr, &blocked_);
  itimerval timer{};
  has_alarm_ =
      getitimer(ITIMER_REAL, &timer) == 0 && (timer.it_value.tv_sec != 0 || timer.it_value.tv_usec != 0);
}

Surroundings::~Surroundings() {
  if (directory_ >= 0) close(directory_);
}

// A signal that the job has blocked and not taken would arrive when it is unblocked, and end the process
// before the result is sent. What the program handles itself is left to its handler.
void Surroundings::forget_deadly_signals() const {
  sigset_t pending{};
  sigset_t deadly{};
  sigemptyset(&pending);  // the kernel's set is smaller than the library's
  sigemptyset(&deadly);
  if (sigpending(&pending) != 0 || std::memcmp(&pending, &deadly, sizeof pending) == 0) return;
  bool any = false;  // sigisemptyset() overlooks the signals above 32
  for (int number = 1; number <= SIGRTMAX; ++number) {
    struct sigaction now {};
    const bool arrives = sigismember(&pending, number) == 1 && sigismember(&blocked_, number) == 0;
    if (!arrives || sigaction(number, nullptr, &now) != 0 || now.sa_handler != SIG_DFL) continue;
    sigaddset(&deadly, number);
    any = true;
  }
  const timespec at_once{};
  while (any && sigtimedwait(&deadly, nullptr, &at_once) > 0) {
  }
}

// Set, not compared: one system call each. Alarm and signals first, which would else end the process in
// between.
void Surroundings::restore() const {
  const itimerval never{};
  if (!has_alarm_) setitimer(ITIMER_REAL, &never, nullptr);
  catch_termination_served();
  forget_deadly_signals();
  pthread_sigmask(SIG_SETMASK, &blocked_, nullptr);
  umask(umask_);
  // The directory may have been removed or forbidden meanwhile; then the job starts in the one in which the
  // job before it ended.
  [[maybe_unused]] const int refused = directory_ < 0 ? -1 : fchdir(directory_);
}

}  // namespace libtask::detail
