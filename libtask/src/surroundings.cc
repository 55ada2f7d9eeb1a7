#include "surroundings.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

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

// Set, not compared: one system call each. The alarm first, which would else end the process in between.
void Surroundings::restore() const {
  const itimerval never{};
  if (!has_alarm_) setitimer(ITIMER_REAL, &never, nullptr);
  pthread_sigmask(SIG_SETMASK, &blocked_, nullptr);
  catch_termination_served();
  umask(umask_);
  // It may have been removed or forbidden meanwhile; then the job finds the one that the last one left.
  [[maybe_unused]] const int refused = directory_ < 0 ? -1 : fchdir(directory_);
}

}  // namespace libtask::detail
