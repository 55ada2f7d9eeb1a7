#include "subworker/family/leaving.h"

#include "subworker/family/signals.h"

namespace postpone::subworker {

LeaveSigns leave_signs(board::Command command, const Leash& leash) {
  return {.command = command, .signals = requests_to_leave(), .supervisor_gone = leash.supervisor_gone()};
}

void Leaving::look(const LeaveSigns& signs, Clock::time_point now) {
  signs_ = signs;
  if (draining_since_) return;
  const bool commanded = signs.command == board::Command::drain || signs.command == board::Command::stop_now;
  if (commanded || signs.signals > 0 || signs.supervisor_gone) draining_since_ = now;
}

}  // namespace postpone::subworker
