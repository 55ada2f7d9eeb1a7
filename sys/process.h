// Child processes: how they are started, watched, signalled and reaped. Boost.Process does fork and exec;
// this page adds what a process manager needs around it: a pidfd, a clean signal mask, exactly the
// descriptors the child is meant to have, and an error that names the step that failed.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "sys/fd.h"

namespace postpone::sys {

// The user that a process runs as.
struct User {
  std::string name;
  std::string home;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups = {};  // all, with the first
};
// Nothing when the host knows no user of that name. Throws std::system_error when the host cannot tell: no
// descriptor is left, or a directory service does not answer.
std::optional<User> find_user(const std::string& name);
// Whether this process and its children may start processes as that user: they run as that user already, or
// as root, or have the capabilities to change users and to signal processes of others (ambient ones, which
// children inherit).
bool may_start_as(const User& user);

// `source` in the parent becomes descriptor `target` in the child.
struct InheritedFd {
  int source;
  int target;
};

// Members have initializers so that a spec may name only what it needs.
struct ProcessSpec {
  std::string executable;                   // a path; PATH is not searched
  std::vector<std::string> arguments = {};  // without argv[0]
  // The complete environment of the child; nothing is inherited that does not stand here.
  std::vector<std::pair<std::string, std::string>> environment = {};
  // Descriptors 0, 1 and 2 are the parent's unless named here; all others that are not named here are closed.
  std::vector<InheritedFd> descriptors = {};
  bool own_process_group = false;  // the child leads a process group of its own
  int parent_death_signal = 0;     // sent to the child when the parent dies; 0 = none
  // The kernel's OOM killer takes processes with a high score first. A refusal by the kernel is logged once.
  std::optional<int> oom_score_adj = {};
  // The directory of a cgroup for the child to be born into. A cgroup that refuses the child is ignored.
  std::string cgroup = {};
  std::optional<User> user = {};  // to run as; see may_start_as()
  // The child, unless it is root, has no capability, nor a way to inherit one: for programs that are not
  // ours.
  bool without_capabilities = false;
};

// Thrown when a process could not be started. what() reads "cannot start <executable>: <step>: <strerror>".
class SpawnError : public std::runtime_error {
 public:
  SpawnError(const std::string& message, int error_number);
  int error_number() const noexcept { return error_number_; }

 private:
  int error_number_;
};

// How a process ended, and what it used over its whole life (waited-for descendants included).
struct ExitReport {
  bool signalled = false;
  int code = 0;  // the exit status, or the signal's number when `signalled`
  bool core_dumped = false;
  std::int64_t max_rss_bytes = 0;  // at least what the parent had when it forked: exec does not reset this
  std::chrono::microseconds cpu_time{0};
};

// "exit status 3", "signal 11 (Segmentation fault)"; for people.
std::string to_string(const ExitReport& report);

// A child of this process, owned: exactly one Process object stands for it, and reaps it. Signals go through
// the pidfd, so that a recycled pid is never signalled. Destroying an unreaped Process kills the child
// (SIGKILL) and reaps it. Move-only; not thread-safe.
class Process {
 public:
  Process() noexcept = default;
  Process(Process&&) noexcept;
  Process& operator=(Process&&) noexcept;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  // Starts a process. The child has the default signal dispositions and an empty signal mask (a blocked mask
  // survives exec). On return the child has become the program, and leads its group if it was to. Throws
  // SpawnError, and then no child exists.
  static Process spawn(const ProcessSpec& spec);

  explicit operator bool() const noexcept { return pid_ > 0; }
  pid_t pid() const noexcept { return pid_; }
  int pidfd() const noexcept { return pidfd_.get(); }  // becomes readable when the child has ended

  // Sends a signal to the process; no effect once it has ended.
  void signal(int signal_number) noexcept;
  // Sends a signal to every process of the group that the child leads (REQUIRES: spawned with
  // own_process_group, and not reaped yet, so that the group's number cannot have been recycled).
  void signal_group(int signal_number) noexcept;

  // Reaps the child if it has ended; afterwards this object is empty. reap() waits for the end.
  std::optional<ExitReport> try_reap();
  ExitReport reap();
  // As reap(), for at most `limit`; nothing when the child still runs.
  std::optional<ExitReport> reap_within(std::chrono::milliseconds limit);

 private:
  Process(pid_t pid, Fd pidfd) noexcept : pid_(pid), pidfd_(std::move(pidfd)) {}
  std::optional<ExitReport> wait(int options);

  pid_t pid_ = -1;
  Fd pidfd_;
};

// From now on processes of the same user cannot look into this one: its memory, descriptors and environment
// under /proc belong to root, no debugger of theirs attaches, and it leaves no core. set_oom_score_adj()
// works on. Does nothing with POSTPONE_DUMPABLE=1 in the environment, for people who debug the process.
void forbid_inspection();

// Makes this process the one to which orphaned descendants are handed (PR_SET_CHILD_SUBREAPER), so that a
// daemon that a task forked away stays within reach. Throws std::system_error.
void become_subreaper();

// The living and dead children of process `parent` as /proc shows them (kernels without CONFIG_PROC_CHILDREN
// included). Throws std::system_error when /proc cannot be read: no descriptor is left, say. Empty as well
// for a process that /proc hides from this one (hidepid).
std::vector<pid_t> children_of(pid_t parent);

// Kills (SIGKILL) and reaps every child of this process that is not in `known`, and whatever is handed to it
// thereby, until none is left or `limit` has passed. Returns how many were reaped, and in `left` those that
// did not die in time. Throws as children_of().
struct ReapedOrphans {
  int reaped = 0;
  std::vector<pid_t> left;
};
ReapedOrphans kill_orphans(const std::vector<pid_t>& known, std::chrono::milliseconds limit);

// A descriptor that becomes readable when this child has ended. None when there is no descriptor to be had.
// REQUIRES: an unreaped child of this process, so that no other process can have its pid.
Fd end_of_child(pid_t child);

// Reaps every child that is dead and not in `known`, without waiting.
void reap_dead(const std::vector<pid_t>& known);

// Runs a program to its end, in a process group of its own that is killed with it, and returns what it wrote
// to stdout and stderr. Its stdin is empty unless named in the spec. One that writes more than `max_bytes` to
// either, or has not ended after `limit`, is killed; `problem` then says so, as it does for a program that
// cannot be started (this does not throw SpawnError) and for any end but exit status 0. `waiting` is called
// every 100 ms at least while the program runs; what it throws ends the program, and is passed on.
struct Captured {
  enum class End {
    status,       // it ended by itself, well or not
    not_started,  // see error_number
    late,
    killed,  // a signal ended it, which may have been the kernel's for want of memory
  };
  std::string output;
  std::string diagnostics;
  std::string problem;  // empty when the program ended with status 0 in time
  bool hidden = false;  // /proc did not show the program to this process (hidepid)
  End end = End::status;
  int error_number = 0;
};
// Whether a process that could not be started may be a moment later: processes, memory or descriptors have
// run out, or the file is being written.
bool is_passing(int error_number);
Captured run_and_capture(const ProcessSpec& spec, std::chrono::milliseconds limit, std::size_t max_bytes,
                         const std::function<void()>& waiting = {});
// One line: the problem, and what the program has said of it on stderr: its first line, or the last one of a traceback of
// Python's, which names the exception. REQUIRES: there is a problem.
std::string explain(const Captured& captured);

// The environment of this process as pairs, without the names for which `drop` says true.
std::vector<std::pair<std::string, std::string>> current_environment(bool (*drop)(const std::string& name));

// Resident set size of a process in bytes, from /proc; 0 when it is gone.
std::int64_t resident_bytes(pid_t pid);

// What a process uses, from /proc; zeros when it is gone. CPU time counts that of children it has waited for.
struct ProcessUse {
  std::int64_t resident_bytes = 0;
  std::chrono::nanoseconds cpu_time{0};
};
ProcessUse use_of(pid_t pid);

// The resident set size of all descendants of a process together, without itself. A page that several share
// counts for each.
std::int64_t resident_bytes_of_descendants(pid_t ancestor);

}  // namespace postpone::sys
