// A cgroup for the task processes of each sub-worker, where the kernel and our rights allow it. Its processes
// are killed as one, however fast they fork, and their memory is counted apart from that of all others.
//
//   <the supervisor's own>/postpone-family-<pid>/task-<slot>
//
// Where the service manager has delegated our own cgroup (systemd: Delegate=memory), the family moves into
// <own>/family, since only a cgroup without processes can share the memory controller with those beneath it.
//
// The supervisor holds the first and each sub-worker its own (sys::hold_cgroup), so that the next supervisor
// here, or the housekeeper of another family, knows what the dead have left, and kills it.
#pragma once

#include <cstdint>
#include <string>

#include "sys/fd.h"

namespace postpone::supervisor {

class TaskCgroups {
 public:
  // Makes one for each slot, or none at all; never throws. Kills what families that have died had left.
  explicit TaskCgroups(std::uint32_t slots);
  // Makes those of further slots. One that cannot be made is missing: of() says so.
  void grow(std::uint32_t slots);
  // REQUIRES: nothing lives in them.
  ~TaskCgroups();
  TaskCgroups(const TaskCgroups&) = delete;
  TaskCgroups& operator=(const TaskCgroups&) = delete;

  // The directory for a slot; empty when it has none.
  std::string of(std::uint32_t slot) const;
  // The directory beneath which this family and others keep theirs; empty when there is none.
  std::string families() const { return base_.substr(0, base_.rfind('/')); }
  // SIGKILL for everything that lives in it.
  void kill(std::uint32_t slot) const;

 private:
  std::string path(std::uint32_t slot) const;

  std::string base_;         // empty = none
  sys::Fd hold_;             // of base_
  std::uint32_t slots_ = 0;  // have one
};

}  // namespace postpone::supervisor
