#include "subworker/task/task_start.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "libtask/wire/frame.h"
#include "libtask/wire/ledger.h"
#include "subworker/task/task_environment.h"
#include "sys/crash_point.h"
#include "sys/oom.h"

namespace postpone::subworker {

namespace wire = libtask::wire;

StartedTask start_task(const config::Group& group, const std::string& cgroup, int ledger_fd) {
  sys::FdPair channel = sys::make_socketpair(SOCK_STREAM);
  sys::FdPair out = sys::make_pipe();
  sys::FdPair err = sys::make_pipe();
  const sys::Fd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!nothing) sys::throw_errno("cannot open /dev/null, for the task process to read nothing from");
  sys::ProcessSpec spec;
  spec.executable = group.executable;
  spec.arguments = group.arguments;
  spec.environment = task_environment(group);
  spec.environment.emplace_back(wire::kChannelVariable, std::to_string(wire::kChannelFd));
  spec.environment.emplace_back(wire::kLedgerVariable, std::to_string(wire::kLedgerFd));
  spec.descriptors = {{nothing.get(), STDIN_FILENO},
                      {out.second.get(), STDOUT_FILENO},
                      {err.second.get(), STDERR_FILENO},
                      {channel.second.get(), wire::kChannelFd},
                      {ledger_fd, wire::kLedgerFd}};
  spec.own_process_group = true;
  spec.parent_death_signal = SIGKILL;
  // A job may be repeated; a sub-worker, and the server beside it, should live.
  spec.oom_score_adj = std::min(std::max(500, sys::oom_score_adj() + 100), sys::kHighestOomScoreAdj);
  spec.cgroup = cgroup;
  spec.user = task_user(group);
  spec.without_capabilities = true;
  StartedTask started{sys::Process::spawn(spec), std::move(channel.first), std::move(out.first),
                      std::move(err.first)};
  for (const sys::Fd* fd : {&started.channel, &started.out, &started.err}) sys::set_nonblocking(fd->get());
  sys::crash_point("sub_worker.task_spawned");
  return started;
}

}  // namespace postpone::subworker
