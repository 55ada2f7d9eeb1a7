// What the jobs of a task process start and leave behind: found through /proc wherever it hangs in the tree,
// killed, and reaped where it is ours to reap.
//
// A process that a job started is a descendant of the task process; once its parent has died it is a child of
// the task process (if that has made itself a subreaper) or of this process, which is one. Looking at the
// children of both is therefore enough to notice any of them: what hangs deeper comes up when those above it
// have been killed.
//
// This runs after every job, so the ordinary answer, that there is nothing, costs three system calls on files
// that stay open.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

#include "sys/fd.h"

namespace postpone::sys {

// The children of one process, looked up many times.
class ChildrenFile {
 public:
  explicit ChildrenFile(pid_t parent);
  // As children_of(), cheaper while the process has one thread. Throws std::system_error, too, when the
  // process lives and /proc hides it.
  std::vector<pid_t> read() const;

 private:
  std::vector<pid_t> search() const;

  pid_t parent_;
  Fd process_;   // becomes readable when it has ended
  Fd threads_;   // /proc/PID/task: its link count says how many threads there are
  Fd children_;  // of the first thread; none where the kernel keeps no such list
};

class Leftovers {
 public:
  // `task` is a child of this process. What descends from the two by now is kept: a helper that the program
  // has started for itself. So is what such a helper starts, while the helper lives. REQUIRES: this process
  // is a subreaper with one thread.
  explicit Leftovers(pid_t task);

  // Kills (SIGKILL) every other descendant, and what is handed to this process or to the task process
  // thereby, until two looks find none or `limit` has passed. Throws std::system_error when a look fails (no
  // descriptor is left, or /proc hides the task process or a child of it): something may live then.
  struct Sweep {
    int killed = 0;
    int dead = 0;             // children of the task process that have ended and that it has not waited for
    std::vector<pid_t> left;  // what did not die in time
  };
  Sweep sweep(std::chrono::milliseconds limit) const;

 private:
  // A process by its number and the moment of its start: a number alone may be given away again.
  struct Identity {
    pid_t pid;
    std::uint64_t started;
  };
  // What one look has found.
  struct Look {
    bool saw_none = true;  // not even a process that is kept, or dead
    int dead = 0;
    std::vector<std::pair<pid_t, Fd>> killed;  // with a descriptor that becomes readable when it has ended
  };

  void keep_descendants_of(pid_t parent);
  bool is_kept(pid_t pid, std::uint64_t started) const;
  bool may_be_kept(pid_t pid) const;
  Look look_and_kill() const;
  void kill_ours(pid_t child, Look& look) const;
  void kill_of_task(pid_t child, Look& look) const;

  pid_t task_;
  ChildrenFile ours_;
  ChildrenFile of_task_;
  std::vector<Identity> kept_;
};

}  // namespace postpone::sys
