// What processes use, as /proc shows it.
#pragma once

#include <sys/types.h>

namespace postpone::bench {

// Milliseconds that the process was on a processor, in all its threads.
double cpu_ms(pid_t pid);

// Memory that goes when the process goes: private pages, clean and dirty.
double private_mib(pid_t pid);

}  // namespace postpone::bench
