#include "sys/child.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace postpone::sys {

namespace {

// execve() takes pointers to char that it does not write to.
char* argument(const std::string& text) {
  return const_cast<char*>(text.c_str());
}

}  // namespace

const char* name_of(Step step) {
  switch (step) {
    case Step::pipe:
      return "pipe";
    case Step::fork:
      return "fork";
    case Step::process_group:
      return "setpgid";
    case Step::user:
      return "changing the user";
    case Step::capabilities:
      return "giving up capabilities";
    case Step::parent_death_signal:
      return "prctl(PR_SET_PDEATHSIG)";
    case Step::oom_score:
      return "oom_score_adj";
    case Step::descriptors:
      return "passing descriptors";
    case Step::execve:
      return "execve";
    case Step::pidfd:
      return "pidfd_open";
  }
  return "unknown step";
}

Plan::Plan(const ProcessSpec& wanted) : spec(wanted) {
  arguments.push_back(argument(spec.executable));
  for (const auto& text : spec.arguments) arguments.push_back(argument(text));
  arguments.push_back(nullptr);

  environment_strings.reserve(spec.environment.size());
  for (const auto& [name, value] : spec.environment) {
    std::string& text = environment_strings.emplace_back(name);
    text += '=';
    text += value;
    environment.push_back(argument(text));
  }
  environment.push_back(nullptr);

  if (spec.oom_score_adj) oom_score = std::to_string(*spec.oom_score_adj);
  if (!spec.cgroup.empty()) cgroup_procs = spec.cgroup + "/cgroup.procs";
  int highest = STDERR_FILENO;
  for (const auto& descriptor : spec.descriptors) {
    sources.push_back(descriptor.source);
    highest = std::max(highest, descriptor.target);
  }
  first_free = highest + 1;
}

void give_up(const Plan& plan, Step step) {
  const Report report{step, errno};
  [[maybe_unused]] const ssize_t written = ::write(plan.report_fd, &report, sizeof report);
  ::_exit(127);
}

bool is_us(const User& user) {
  return user.uid == ::geteuid() && user.gid == ::getegid();
}

bool take_ids_of(const User& user) {
  const bool taken = ::syscall(SYS_setgroups, user.groups.size(), user.groups.data()) == 0 &&
                     ::syscall(SYS_setresgid, user.gid, user.gid, user.gid) == 0 &&
                     ::syscall(SYS_setresuid, user.uid, user.uid, user.uid) == 0;
  const int error = errno;
  ::prctl(PR_SET_DUMPABLE, 0);
  errno = error;
  return taken;
}

namespace {

void lift(const Plan& plan, int& fd) {
  const int lifted = ::fcntl(fd, F_DUPFD_CLOEXEC, plan.first_free);
  if (lifted < 0) give_up(plan, Step::descriptors);
  fd = lifted;
}

void join_process_group(const Plan& plan) {
  if (plan.spec.own_process_group && ::setpgid(0, 0) != 0) give_up(plan, Step::process_group);
}

// The kernel sends the signal for deaths from now on only: a parent that died before is noticed here.
void bind_to_parent(const Plan& plan) {
  if (plan.spec.parent_death_signal == 0) return;
  if (::prctl(PR_SET_PDEATHSIG, plan.spec.parent_death_signal) != 0) give_up(plan, Step::parent_death_signal);
  if (::getppid() != plan.parent) ::_exit(127);
}

void adjust_oom_score(Plan& plan) {
  if (plan.oom_score.empty()) return;
  const int fd = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  plan.has_oom_score = fd >= 0 && ::write(fd, plan.oom_score.data(), plan.oom_score.size()) >= 0;
  if (!plan.has_oom_score && errno != EACCES && errno != EPERM) give_up(plan, Step::oom_score);
  ::close(fd);
}

void enter_cgroup(const Plan& plan) {
  if (plan.cgroup_procs.empty()) return;
  const int fd = ::open(plan.cgroup_procs.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  [[maybe_unused]] const ssize_t ignored = ::write(fd, "0", 1);
  ::close(fd);
}

// The kernel changes here which processes may look into the memory. That is still the parent's, so spawn()
// sets it anew afterwards.
void become_user(const Plan& plan) {
  if (!plan.spec.user || is_us(*plan.spec.user)) return;
  if (!take_ids_of(*plan.spec.user)) give_up(plan, Step::user);
}

// Ambient capabilities outlive a change from one user to another, unless one of the two is root, and exec:
// a program that kept CAP_SETUID would become root with one call.
void give_up_capabilities(const Plan& plan) {
  if (!plan.spec.without_capabilities) return;
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) give_up(plan, Step::capabilities);
  if (::geteuid() == 0) return;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
  if (::syscall(SYS_capset, &header, none.data()) != 0) give_up(plan, Step::capabilities);
}

// For kernels and sandboxes that refuse close_range().
bool mark_close_on_exec_one_by_one() {
  const int directory = ::open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return false;
  alignas(dirent64) std::array<char, 4096> entries;
  ssize_t bytes = 0;
  while ((bytes = ::getdents64(directory, entries.data(), entries.size())) > 0) {
    for (ssize_t at = 0; at < bytes;) {
      const auto* const entry = reinterpret_cast<const dirent64*>(entries.data() + at);
      const int fd = ::atoi(entry->d_name);
      if (fd > STDERR_FILENO) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
      at += entry->d_reclen;
    }
  }
  ::close(directory);
  return bytes == 0;
}

// exec closes everything above stderr, so that the report's descriptor works until then; dup2() takes the
// mark off the descriptors that are meant to stay. Sources are lifted before the first dup2(), because the
// target of one may be the source of another.
void pass_descriptors(Plan& plan) {
  for (int& source : plan.sources) lift(plan, source);
  constexpr unsigned kFirst = STDERR_FILENO + 1;
  if (::syscall(SYS_close_range, kFirst, ~0U, CLOSE_RANGE_CLOEXEC) != 0 && !mark_close_on_exec_one_by_one()) {
    give_up(plan, Step::descriptors);
  }
  for (std::size_t i = 0; i < plan.sources.size(); ++i) {
    if (::dup2(plan.sources[i], plan.spec.descriptors[i].target) < 0) give_up(plan, Step::descriptors);
  }
}

// Ignored signals and blocked ones survive exec. Refusals (SIGKILL, SIGSTOP, the C library's own) are
// expected.
void reset_signals() {
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  for (int signal_number = 1; signal_number < NSIG; ++signal_number) {
    ::sigaction(signal_number, &standard, nullptr);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace

void set_up_child(Plan& plan) {
  lift(plan, plan.report_fd);
  join_process_group(plan);
  adjust_oom_score(plan);
  enter_cgroup(plan);
  become_user(plan);
  give_up_capabilities(plan);
  bind_to_parent(plan);  // behind the change of the user, which would undo it
  pass_descriptors(plan);
  reset_signals();
}

}  // namespace postpone::sys
