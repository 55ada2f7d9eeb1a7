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
#include <fstream>
#include <string>
#include <string_view>

#include "sys/process.h"
#include "tests/support/signals.h"

namespace postpone::sys {
namespace {

std::string_view wish(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// The supervisor, while it is the parent: another process of the family may have killed it here a moment ago,
// and the parent is then whoever adopts orphans, the run of all tests among them.
void kill_parent() {
  const pid_t parent = ::getppid();
  std::string program;
  std::ifstream("/proc/" + std::to_string(parent) + "/comm") >> program;
  if (program.starts_with("postpone")) tests::send_signal(parent, SIGKILL);
}

void kill_victim() {
  const std::string_view victim = wish("POSTPONE_CRASH_VICTIM");
  if (victim == "parent") kill_parent();
  if (victim == "child")
    for (const pid_t child : children_of(::getpid())) tests::send_signal(child, SIGKILL);
  if (victim == "self") tests::send_signal(::getpid(), SIGKILL);
}

}  // namespace

void crash_point(const char* name) noexcept {
  if (wish("POSTPONE_CRASH_POINT") != name) return;
  if (::unlink(wish("POSTPONE_CRASH_TOKEN").data()) == 0) kill_victim();
}

}  // namespace postpone::sys
