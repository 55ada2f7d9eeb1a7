// Descendants that are not (or no longer) in the hands of a Process: found through /proc, killed, reaped.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "sys/deadline.h"
#include "sys/proc.h"
#include "sys/process.h"

namespace postpone::sys {

namespace {

// The ordinary case, answered by one system call.
bool has_no_child() {
  siginfo_t nothing{};
  return ::waitid(P_ALL, 0, &nothing, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD;
}

std::vector<pid_t> unknown_children(const std::vector<pid_t>& known) {
  if (has_no_child()) return {};
  std::vector<pid_t> children = children_of(::getpid());
  std::erase_if(children, [&known](pid_t child) {
    return std::find(known.begin(), known.end(), child) != known.end();
  });
  return children;
}

// True when it was reaped. REQUIRES: `child` is an unreaped child of this process.
bool reap_until(pid_t child, SteadyTime deadline) {
  const Fd end = end_of_child(child);
  if (end) wait_readable(end.get(), deadline);
  return ::waitpid(child, nullptr, WNOHANG) == child;
}

}  // namespace

void become_subreaper() {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) throw_errno("cannot become the reaper of orphans");
}

std::vector<pid_t> children_of(pid_t parent) {
  if (auto children = listed_children(parent)) return *std::move(children);
  return scanned_children(parent);
}

Fd end_of_child(pid_t child) {
  return Fd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
}

// Round by round: the dead of one round hand their own children to this process, which the next round finds.
ReapedOrphans kill_orphans(const std::vector<pid_t>& known, std::chrono::milliseconds limit) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + limit;
  ReapedOrphans result;
  for (;;) {
    const std::vector<pid_t> orphans = unknown_children(known);
    if (orphans.empty()) return result;
    for (const pid_t orphan : orphans) ::kill(orphan, SIGKILL);
    for (const pid_t orphan : orphans) result.reaped += reap_until(orphan, deadline) ? 1 : 0;
    if (std::chrono::steady_clock::now() >= deadline) {
      result.left = unknown_children(known);
      return result;
    }
  }
}

// The kernel names one dead child at a time, and the same again until it is reaped. One of `known` is left to
// its owner; the dead behind it are looked for one by one.
void reap_dead(const std::vector<pid_t>& known) {
  for (;;) {
    siginfo_t dead{};
    if (::waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT) != 0 || dead.si_pid == 0) return;
    if (std::find(known.begin(), known.end(), dead.si_pid) != known.end()) break;
    ::waitpid(dead.si_pid, nullptr, WNOHANG);
  }
  for (const pid_t child : unknown_children(known)) ::waitpid(child, nullptr, WNOHANG);
}

}  // namespace postpone::sys
