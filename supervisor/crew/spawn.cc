#include "supervisor/crew/spawn.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>
#include <unistd.h>

#include <climits>
#include <utility>

#include "board/family.h"

namespace postpone::supervisor {
namespace {

Spawned spawn(const Family& family, std::vector<std::string> role,
              const std::vector<sys::InheritedFd>& others) {
  sys::FdPair leash = sys::make_socketpair(SOCK_SEQPACKET);
  sys::ProcessSpec spec;
  // Its own copy of the descriptor, which it has until it is the program: it may not look into this process.
  spec.executable = fmt::format("/proc/self/fd/{}", family.program.get());
  spec.arguments = std::move(role);
  spec.arguments.insert(spec.arguments.end(),
                        {"--supervisor", family.supervisor, "--config-directory", family.config_directory});
  // It sets the score itself: once it cannot be looked into, no other process can.
  spec.arguments.insert(spec.arguments.end(), {"--oom-score", std::to_string(family.oom_score_adj)});
  if (!family.log_level.empty())
    spec.arguments.insert(spec.arguments.end(), {"--log-level", family.log_level});
  spec.environment =
      sys::current_environment([](const std::string& name) { return name == "POSTPONE_DATABASE_URL"; });
  if (!family.database_url.empty())
    spec.environment.emplace_back("POSTPONE_DATABASE_URL", family.database_url);
  spec.descriptors = {{leash.second.get(), board::kLeashFd}, {family.board_fd, board::kBoardFd}};
  spec.descriptors.insert(spec.descriptors.end(), others.begin(), others.end());
  // A group of its own: what a terminal sends (Ctrl-C, Ctrl-Z) reaches the supervisor alone, which commands
  // its members accordingly.
  spec.own_process_group = true;
  spec.parent_death_signal = board::kSupervisorDeathSignal;
  spec.oom_score_adj = family.oom_score_adj;
  Spawned spawned{sys::Process::spawn(spec), std::move(leash.first)};
  sys::set_nonblocking(spawned.leash.get());
  return spawned;
}

}  // namespace

Spawned spawn_sub_worker(const Family& family, const SlotRole& role) {
  std::vector<std::string> arguments = {"--group",      role.group,
                                        "--slot",       std::to_string(role.slot),
                                        "--generation", std::to_string(role.generation)};
  if (!role.cgroup.empty()) arguments.insert(arguments.end(), {"--cgroup", role.cgroup});
  return spawn(family, std::move(arguments),
               {{family.config_fd, board::kConfigFd}, {role.ledger_fd, board::kLedgerFd}});
}

Spawned spawn_housekeeper(const Family& family, const std::string& families) {
  std::vector<std::string> arguments = {"--housekeeper"};
  if (!families.empty()) arguments.insert(arguments.end(), {"--cgroup", families});
  return spawn(family, std::move(arguments), {{family.config_fd, board::kConfigFd}});
}

Spawned spawn_preflight(const Family& family) {
  return spawn(family, {"--preflight"}, {{family.config_fd, board::kConfigFd}});
}

Spawned spawn_preflight_of(const Family& family, int config_fd) {
  return spawn(family, {"--preflight", "--reload"},
               {{config_fd, board::kConfigFd}, {family.config_fd, board::kLogConfigFd}});
}

sys::Fd open_sub_worker_program() {
  char path[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path);
  if (length < 0) sys::throw_errno("readlink /proc/self/exe");
  const std::string self(path, static_cast<std::size_t>(length));
  const std::string program = self.substr(0, self.rfind('/') + 1) + "postpone-subworker";
  sys::Fd fd(::open(program.c_str(), O_PATH | O_CLOEXEC));
  if (!fd) sys::throw_errno("the sub-worker's program " + program);
  // The number must lie above all that a child gets: dup2() in the child would otherwise replace this
  // descriptor before exec uses it.
  constexpr int kAboveThose = 16;
  static_assert(kAboveThose > board::kLedgerFd);
  return sys::duplicate(fd.get(), kAboveThose);
}

}  // namespace postpone::supervisor
