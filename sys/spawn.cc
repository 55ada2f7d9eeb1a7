// How a process is started. Boost.Process forks and executes; what the child does in between stands in
// child.cc, step by step.
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

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/process/child.hpp>
#include <boost/process/error.hpp>
#include <boost/process/exe.hpp>
#include <boost/process/extend.hpp>
#include <boost/process/posix.hpp>
#include <cerrno>
#include <csignal>
#include <optional>
#include <system_error>

#include "sys/child.h"
#include "sys/logger.h"
#include "sys/oom.h"
#include "sys/process.h"

namespace postpone::sys {

namespace {

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
    set_up_child(*plan_);
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

// The files below /proc of a process that forbids inspection belong to root, and so do those of its vfork()
// child: neither can open the file of its own score. If this process has kept that file open, it takes the
// score of the child for as long as the spawn lasts, and the child is born with it.
class OomScoreOfChild {
 public:
  explicit OomScoreOfChild(Plan& plan) {
    if (!plan.spec.oom_score_adj || plan.dumpable == 1 || !keeps_oom_score_open()) return;
    former_ = oom_score_adj();
    taken_ = set_oom_score_adj(*plan.spec.oom_score_adj);
    if (taken_) plan.oom_score.clear();
  }
  ~OomScoreOfChild() {
    if (taken_) set_oom_score_adj(former_);
  }
  OomScoreOfChild(const OomScoreOfChild&) = delete;
  OomScoreOfChild& operator=(const OomScoreOfChild&) = delete;

 private:
  int former_ = 0;
  bool taken_ = false;
};

// Once the child is the program, the file of its score belongs to the child's user. To write it, a process of
// another user becomes that user: a forked one, for just that.
bool set_oom_score_of(pid_t child, const ProcessSpec& spec) {
  if (!spec.user || is_us(*spec.user)) return set_oom_score_adj_of(child, *spec.oom_score_adj);
  const SignalsBlocked blocked;
  const pid_t writer = ::fork();
  if (writer == 0)
    ::_exit(take_ids_of(*spec.user) && set_oom_score_adj_of(child, *spec.oom_score_adj) ? 0 : 1);
  int status = -1;
  while (writer > 0 && ::waitpid(writer, &status, 0) < 0 && errno == EINTR) {
  }
  return status == 0;
}

// One line, not one for each task process.
void say_score_was_refused(const ProcessSpec& spec) {
  static bool said = false;
  if (!std::exchange(said, true))
    sys::log.warn(
        "{} has not got its score for the OOM killer ({}): the kernel may take it later than others",
        spec.executable, *spec.oom_score_adj);
}

FdPair pipe_for_report(const ProcessSpec& spec) {
  try {
    return make_pipe();
  } catch (const std::system_error& error) {
    throw failure(spec, {Step::pipe, error.code().value()});
  }
}

}  // namespace

Process Process::spawn(const ProcessSpec& spec) {
  if (spec.executable.empty()) throw failure(spec, {Step::execve, ENOENT});
  keep_exit_statuses();
  auto [reports, report_writer] = pipe_for_report(spec);
  Plan plan(spec);
  plan.report_fd = report_writer.get();
  std::optional<Report> report;
  pid_t pid = -1;
  {
    const OomScoreOfChild score(plan);
    pid = fork_and_exec(plan);
    report_writer.reset();
    report = read_report(reports.get());
  }
  if (spec.user) ::prctl(PR_SET_DUMPABLE, plan.dumpable);
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!report && !pidfd) report = Report{Step::pidfd, errno};
  if (report) {
    bury(pid);
    throw failure(spec, *report);
  }
  if (!plan.has_oom_score && !set_oom_score_of(pid, spec)) say_score_was_refused(spec);
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
