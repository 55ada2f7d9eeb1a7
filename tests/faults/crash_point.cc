// The killing body of sys::crash_point(), linked into the programs under tests/faults/crashing.
//
//   POSTPONE_CRASH_POINT    the name of the place
//   POSTPONE_CRASH_VICTIM   who is killed: self, child (all children of the process) or parent
//   POSTPONE_CRASH_TOKEN    a file; whoever removes it does the killing, so that each such file is one death,
//                           whichever process of the family comes by first
#include "sys/crash_point.h"

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "sys/process.h"

namespace postpone::sys {
namespace {

std::string_view wish(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

void kill_victim() {
  const std::string_view victim = wish("POSTPONE_CRASH_VICTIM");
  if (victim == "parent") ::kill(::getppid(), SIGKILL);
  if (victim == "child")
    for (const pid_t child : children_of(::getpid())) ::kill(child, SIGKILL);
  if (victim == "self") ::kill(::getpid(), SIGKILL);
}

}  // namespace

void crash_point(const char* name) noexcept {
  if (wish("POSTPONE_CRASH_POINT") != name) return;
  if (::unlink(wish("POSTPONE_CRASH_TOKEN").data()) == 0) kill_victim();
}

}  // namespace postpone::sys
