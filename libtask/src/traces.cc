#include "traces.h"

#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>

namespace libtask::detail {
namespace {

std::atomic<int> forks_so_far{0};

// fork() alone is counted: neither vfork() nor posix_spawn() calls this.
void count_fork() {
  forks_so_far.fetch_add(1, std::memory_order_relaxed);
}

bool holds_output(int descriptor) {
  int bytes = 0;
  return ioctl(descriptor, FIONREAD, &bytes) != 0 || bytes > 0;
}

// Not reaped: it is the program's. A child that is gone by itself, because the program ignores SIGCHLD, would
// not be seen.
bool may_have_children() {
  siginfo_t child{};
  if (waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 || errno != ECHILD) return true;
  struct sigaction now {};
  return sigaction(SIGCHLD, nullptr, &now) != 0 || now.sa_handler == SIG_IGN ||
         (now.sa_flags & SA_NOCLDWAIT) != 0;
}

}  // namespace

Traces::Traces() {
  for (int descriptor = 0; descriptor < 3; ++descriptor)
    standard_.at(static_cast<std::size_t>(descriptor)) = file_behind(descriptor);
  pthread_atfork(count_fork, nullptr, nullptr);
}

Traces::File Traces::file_behind(int descriptor) {
  struct stat status {};
  if (fstat(descriptor, &status) != 0) return {};
  return {status.st_dev, status.st_ino, true};
}

void Traces::begin() {
  forks_ = forks_so_far.load(std::memory_order_relaxed);
}

bool Traces::are_none() const {
  if (forks_so_far.load(std::memory_order_relaxed) != forks_) return false;
  for (int descriptor = 0; descriptor < 3; ++descriptor)
    if (file_behind(descriptor) != standard_.at(static_cast<std::size_t>(descriptor))) return false;
  return !holds_output(STDOUT_FILENO) && !holds_output(STDERR_FILENO) && !may_have_children();
}

}  // namespace libtask::detail
