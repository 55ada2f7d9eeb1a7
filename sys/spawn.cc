// How a process is started. Boost.Process forks and executes; what the child does in between stands here,
// step by step.
//
// Boost's own way of reporting a failed step is switched off (ignore_error), for two reasons: its pipe to the
// parent may have got the very number that a descriptor of the child is to have, and dup2() would then cut
// the wire unnoticed; and its message is written in pieces but read as a whole. Our pipe carries one Report,
// and is lifted out of the way first. exec closes it, which is how the parent knows that the program runs:
// when spawn() returns, every step is done and the process group exists.
//
// vfork() and not fork(): the child borrows the parent's memory until exec instead of having it copied.
// Measured in a small process: a quarter of the processor time in the parent, half of it in both together,
// and it no longer grows with the parent. What follows from it: the parent stands still meanwhile, every
// signal is blocked, and the code that runs in the child allocates nothing, throws nothing and writes to
// nothing but the Plan made for it. Boost leaves vfork out where the POSIX level no longer promises it; Linux
// does, hence the macro.
#define BOOST_POSIX_HAS_VFORK 1
#include <utility>  // first: Boost 1.74 headers miss it

#include <dirent.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/process/child.hpp>
#include <boost/process/error.hpp>
#include <boost/process/exe.hpp>
#include <boost/process/extend.hpp>
#include <boost/process/posix.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "sys/oom.h"
#include "sys/process.h"

namespace postpone::sys {

namespace {

enum class Step : int {
  fork,
  process_group,
  user,
  parent_death_signal,
  oom_score,
  descriptors,
  execve,
  pidfd
};

const char* name_of(Step step) {
  switch (step) {
    case Step::fork:
      return "fork";
    case Step::process_group:
      return "setpgid";
    case Step::user:
      return "changing the user";
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

// What a child that could not become the program tells its parent: one write, smaller than PIPE_BUF.
struct Report {
  Step step;
  int error_number;
};

// Everything the child needs, laid out before the fork so that the child allocates nothing.
struct Plan {
  explicit Plan(const ProcessSpec& wanted);

  const ProcessSpec& spec;
  std::vector<std::string> environment_strings;
  std::vector<char*> arguments;
  std::vector<char*> environment;
  std::string oom_score;
  std::string cgroup_procs;
  std::vector<int> sources;  // of spec.descriptors; in the child, lifted above every target
  int first_free = 0;        // the lowest number above every target
  int report_fd = -1;
  pid_t parent = ::getpid();
  int fork_error = 0;
};

// execve() takes pointers to char that it does not write to.
char* argument(const std::string& text) {
  return const_cast<char*>(text.c_str());
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

// From here to ChildSetup: what runs in the child, between fork and exec. System calls only.

[[noreturn]] void give_up(const Plan& plan, Step step) {
  const Report report{step, errno};
  [[maybe_unused]] const ssize_t written = ::write(plan.report_fd, &report, sizeof report);
  ::_exit(127);
}

void lift(const Plan& plan, int& fd) {
  const int lifted = ::fcntl(fd, F_DUPFD_CLOEXEC, plan.first_free);
  if (lifted < 0) give_up(plan, Step::descriptors);
  fd = lifted;
}

void join_process_group(const Plan& plan) {
  if (plan.spec.own_process_group && ::setpgid(0, 0) != 0) give_up(plan, Step::process_group);
}

// The signal is sent for deaths from now on only: a parent that died before has to be noticed here.
void bind_to_parent(const Plan& plan) {
  if (plan.spec.parent_death_signal == 0) return;
  if (::prctl(PR_SET_PDEATHSIG, plan.spec.parent_death_signal) != 0) give_up(plan, Step::parent_death_signal);
  if (::getppid() != plan.parent) ::_exit(127);
}

void adjust_oom_score(const Plan& plan) {
  if (plan.oom_score.empty()) return;
  const int fd = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  const bool written = fd >= 0 && ::write(fd, plan.oom_score.data(), plan.oom_score.size()) >= 0;
  if (!written && errno != EACCES && errno != EPERM) give_up(plan, Step::oom_score);
  ::close(fd);
}

void enter_cgroup(const Plan& plan) {
  if (plan.cgroup_procs.empty()) return;
  const int fd = ::open(plan.cgroup_procs.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  [[maybe_unused]] const ssize_t ignored = ::write(fd, "0", 1);
  ::close(fd);
}

// By system calls: the C library's own functions would change the user of each thread, and the child borrows
// the parent's memory.
void become_user(const Plan& plan) {
  if (!plan.spec.user) return;
  const User& user = *plan.spec.user;
  if (user.uid == ::geteuid() && user.gid == ::getegid()) return;
  if (::syscall(SYS_setgroups, user.groups.size(), user.groups.data()) != 0 ||
      ::syscall(SYS_setresgid, user.gid, user.gid, user.gid) != 0 ||
      ::syscall(SYS_setresuid, user.uid, user.uid, user.uid) != 0)
    give_up(plan, Step::user);
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

// Everything above stderr is left to exec to close, so that the report's descriptor works until then; dup2()
// takes the mark off those that are meant to stay. Sources are lifted before the first dup2(), because one's
// target may be another's source.
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

// The hooks that Boost.Process calls around its fork and exec.
class ChildSetup : public boost::process::extend::handler {
 public:
  explicit ChildSetup(Plan& plan) : plan_(&plan) {}

  template <class Executor>
  void on_fork_error(Executor&, const std::error_code& error) const {
    plan_->fork_error = error.value();
  }

  template <class Executor>
  void on_exec_setup(Executor& executor) const {
    lift(*plan_, plan_->report_fd);
    join_process_group(*plan_);
    adjust_oom_score(*plan_);
    enter_cgroup(*plan_);
    become_user(*plan_);
    bind_to_parent(*plan_);  // not before: who changes users is bound no more
    pass_descriptors(*plan_);
    reset_signals();
    executor.exe = plan_->spec.executable.c_str();
    executor.cmd_line = plan_->arguments.data();
    executor.env = plan_->environment.data();
  }

  template <class Executor>
  void on_exec_error(Executor&, const std::error_code&) const {
    give_up(*plan_, Step::execve);
  }

 private:
  Plan* plan_;
};

// Blocks every signal for a while: a handler of the parent's (Asio's writes to a pipe that both share) must
// not run in the child before the child has let go of it.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &former_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &former_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t former_;
};

// An ignored SIGCHLD, perhaps inherited, would make the kernel throw away how children end.
void keep_exit_statuses() {
  struct sigaction current {};
  ::sigaction(SIGCHLD, nullptr, &current);
  if (current.sa_handler == SIG_IGN) ::signal(SIGCHLD, SIG_DFL);
}

SpawnError failure(const ProcessSpec& spec, const Report& report) {
  return {"cannot start " + spec.executable + ": " + name_of(report.step) + ": " +
              std::system_category().message(report.error_number),
          report.error_number};
}

pid_t fork_and_exec(Plan& plan) {
  const SignalsBlocked blocked;
  boost::process::child child(boost::process::exe = plan.spec.executable, boost::process::posix::use_vfork,
                              boost::process::ignore_error, ChildSetup(plan));
  const pid_t pid = child.id();
  child.detach();  // its destructor would kill, its wait() would lose what the child used
  if (plan.fork_error != 0) throw failure(plan.spec, {Step::fork, plan.fork_error});
  return pid;
}

// Waits until the child has become the program (end of file) or has given up.
std::optional<Report> read_report(int fd) {
  Report report{};
  ssize_t got = 0;
  do {
    got = ::read(fd, &report, sizeof report);
  } while (got < 0 && errno == EINTR);
  if (got != sizeof report) return std::nullopt;
  return report;
}

void bury(pid_t pid) {
  ::kill(pid, SIGKILL);
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

Process Process::spawn(const ProcessSpec& spec) {
  if (spec.executable.empty()) throw failure(spec, {Step::execve, ENOENT});
  keep_exit_statuses();
  auto [reports, report_writer] = make_pipe();
  Plan plan(spec);
  plan.report_fd = report_writer.get();
  const pid_t pid = fork_and_exec(plan);
  report_writer.reset();

  std::optional<Report> report = read_report(reports.get());
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!report && !pidfd) report = Report{Step::pidfd, errno};
  if (report) {
    bury(pid);
    throw failure(spec, *report);
  }
  // The child of a process that nobody may look into could not do it itself before it was a program.
  if (spec.oom_score_adj && ::prctl(PR_GET_DUMPABLE) == 0) set_oom_score_adj_of(pid, *spec.oom_score_adj);
  return {pid, std::move(pidfd)};
}

std::vector<std::pair<std::string, std::string>> current_environment(bool (*drop)(const std::string& name)) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    std::string name(text.substr(0, equals));
    if (!drop(name)) pairs.emplace_back(std::move(name), text.substr(equals + 1));
  }
  return pairs;
}

}  // namespace postpone::sys
