// What a child process does between fork and exec. For spawn.cc only.
//
// The child was made by vfork(): it runs in the parent's memory while the parent stands still. So everything
// it needs is laid out before the fork, in the Plan; it makes system calls, and writes to nothing but the
// Plan.
#pragma once

#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "sys/process.h"

namespace postpone::sys {

enum class Step : int {
  pipe,
  fork,
  process_group,
  user,
  capabilities,
  parent_death_signal,
  oom_score,
  descriptors,
  execve,
  pidfd
};

const char* name_of(Step step);

// What a child that could not become the program writes to its parent, at once: it is smaller than PIPE_BUF.
struct Report {
  Step step;
  int error_number;
};

// Everything the child needs, laid out before the fork so that the child allocates nothing.
struct Plan {
  explicit Plan(const ProcessSpec& wanted);

  const ProcessSpec& spec;
  std::vector<std::string> environment_strings;
  std::vector<char*> arguments;
  std::vector<char*> environment;
  std::string oom_score;
  std::string cgroup_procs;
  std::vector<int> sources;  // of spec.descriptors; in the child, lifted above every target
  int first_free = 0;        // the lowest number above every target
  int report_fd = -1;
  pid_t parent = ::getpid();
  int dumpable = ::prctl(PR_GET_DUMPABLE);
  // What the child writes here, the parent reads: vfork().
  bool has_oom_score = true;
  int fork_error = 0;
};

// In the child: every step but exec. Does not return when one fails: it reports the step and ends.
void set_up_child(Plan& plan);
[[noreturn]] void give_up(const Plan& plan, Step step);

bool is_us(const User& user);
// By system calls: the C library's own functions would change the user of each thread, and a vfork() child
// borrows the parent's. False, with errno, when the kernel refuses.
//
// When the ids change, the kernel decides anew which processes may look into the memory: fs.suid_dumpable may
// allow it to every process of the new user. This function leaves it to root alone.
bool take_ids_of(const User& user);

}  // namespace postpone::sys
