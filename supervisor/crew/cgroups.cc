#include "supervisor/crew/cgroups.h"

#include <unistd.h>

#include "board/family.h"
#include "sys/cgroup.h"
#include "sys/logger.h"

namespace postpone::supervisor {
namespace {

void share_memory(const std::string& own, const std::string& base) {
  if (!sys::is_delegated_cgroup(own)) return;
  const std::string family = own + "/family";
  if (!sys::make_cgroup(family) || !sys::enter_cgroup(family)) return;
  if (sys::share_memory_controller(own)) sys::share_memory_controller(base);
}

}  // namespace

TaskCgroups::TaskCgroups(std::uint32_t slots) {
  const auto own = sys::own_cgroup_directory();
  if (!own) return;
  sys::end_unheld_cgroups(*own, board::kFamilyCgroupPrefix);
  const std::string base = *own + "/" + board::kFamilyCgroupPrefix + std::to_string(::getpid());
  // Another family may take it for left in between, and remove it.
  for (int tries = 0; tries < 3 && !hold_; ++tries)
    if (sys::make_cgroup(base)) hold_ = sys::hold_cgroup(base);
  if (!hold_) return;
  share_memory(*own, base);
  base_ = base;
  grow(slots);
  if (slots_ < slots) {
    sys::remove_cgroup(base);
    base_.clear();
    return;
  }
  sys::log.debug("task processes live in cgroups beneath {}", base_);
}

void TaskCgroups::grow(std::uint32_t slots) {
  while (!base_.empty() && slots_ < slots && sys::make_cgroup(path(slots_))) ++slots_;
}

TaskCgroups::~TaskCgroups() {
  if (!base_.empty()) sys::remove_cgroup(base_);
}

std::string TaskCgroups::of(std::uint32_t slot) const {
  return base_.empty() || slot >= slots_ ? "" : path(slot);
}

std::string TaskCgroups::path(std::uint32_t slot) const {
  return base_ + "/task-" + std::to_string(slot);
}

void TaskCgroups::kill(std::uint32_t slot) const {
  if (const std::string directory = of(slot); !directory.empty()) sys::kill_cgroup(directory);
}

}  // namespace postpone::supervisor
