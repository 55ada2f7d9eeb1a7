// How a task process is started, and what of it stays in the sub-worker's hands.
#pragma once

#include <string>

#include "config/config.h"
#include "sys/fd.h"
#include "sys/process.h"

namespace postpone::subworker {

// The descriptors are our ends, and do not block.
struct StartedTask {
  sys::Process process;
  sys::Fd channel;
  sys::Fd out;
  sys::Fd err;
};

// Starts the group's executable: in a process group of its own, in the cgroup `cgroup` unless that is empty,
// with no descriptor but its channel, its ledger, stdout and stderr, and with no database credentials in its environment.
// It dies with the sub-worker. Returns at once. Throws sys::SpawnError, and std::system_error for want of a
// descriptor.
StartedTask start_task(const config::Group& group, const std::string& cgroup, int ledger_fd);

}  // namespace postpone::subworker
