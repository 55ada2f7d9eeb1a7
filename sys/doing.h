// What a process does at this moment, as /proc shows it: the same that a person would look up there. Nothing
// here stops or disturbs the process. What the kernel does not let us read is left empty.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>

namespace postpone::sys {

struct Doing {
  // As in /proc/PID/stat: R, S, D (not to be disturbed), T (stopped), t (traced), Z.
  char state = '?';
  std::string wait_channel;  // the function of the kernel in which the thread sleeps; empty = none
  std::string system_call;   // "read(7: pipe:[8242])"; empty = none
};

// Of one thread; that with the number of the process is the first one.
Doing doing_of(pid_t process, pid_t thread);

// "runs", "sleeps in read(7: pipe:[8242]), pipe_read", "is stopped (SIGSTOP, or a debugger)"; for people.
std::string to_string(const Doing& doing);

// Processor time that all threads of a process have used; 0 when it is gone.
std::chrono::microseconds cpu_time_of(pid_t process);

// Whether the process has a handler for this signal, and so will not be ended by it.
bool catches(pid_t process, int signal_number);

}  // namespace postpone::sys
