// Signals from tests.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <stdexcept>
#include <string>

namespace postpone::tests {

// kill(2) for one process. True when there was such a process.
// kill(2) itself takes 0 and -1 for the caller's process group and for every process there is, and in a test
// that is whoever started the tests: a lookup that found no process once ended a whole run so. Every test
// sends its signals through here (tests/documents/signals.py looks after that). Throws std::invalid_argument.
inline bool send_signal(pid_t pid, int signal_number) {
  if (pid <= 1)
    throw std::invalid_argument("a signal to process " + std::to_string(pid) + ": none was found");
  return ::kill(pid, signal_number) == 0;
}

}  // namespace postpone::tests
