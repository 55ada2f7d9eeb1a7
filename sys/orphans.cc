// Descendants that are not (or no longer) in the hands of a Process: found through /proc, killed, reaped.
#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>
#include <sstream>
#include <string_view>
#include <system_error>

#include "sys/deadline.h"
#include "sys/process.h"

namespace postpone::sys {

namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

template <class Number>
std::optional<Number> number_in(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// The entries of a directory that are numbers: processes, or threads. Nothing when it cannot be opened.
std::vector<pid_t> numbered_entries(const std::string& path) {
  std::vector<pid_t> numbers;
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.c_str()));
  if (!directory) return numbers;
  while (const dirent* const entry = ::readdir(directory.get())) {
    if (const auto number = number_in<pid_t>(entry->d_name)) numbers.push_back(*number);
  }
  return numbers;
}

// Nothing when the file cannot be read: a process may be gone at any moment.
std::optional<std::string> try_read(const std::string& path) {
  try {
    return read_whole_file(path);
  } catch (const std::system_error&) {
    return std::nullopt;
  }
}

std::string proc_path(pid_t pid, const std::string& file) {
  return "/proc/" + std::to_string(pid) + file;
}

// "pid (name) state ppid …"; the name may hold anything, parentheses and blanks included.
std::optional<pid_t> parent_of(pid_t pid) {
  const auto stat = try_read(proc_path(pid, "/stat"));
  if (!stat) return std::nullopt;
  const auto name_end = stat->rfind(") ");
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream rest(stat->substr(name_end + 2));
  char state = 0;
  pid_t parent = 0;
  if (!(rest >> state >> parent)) return std::nullopt;
  return parent;
}

// What the kernel itself lists, thread by thread; nothing when it has no such list. It may leave out a child
// of another process while a sibling is being reaped; for children of the (one-threaded) caller it is exact.
std::optional<std::vector<pid_t>> listed_children(pid_t parent) {
  std::vector<pid_t> children;
  for (const pid_t thread : numbered_entries(proc_path(parent, "/task"))) {
    const auto list = try_read(proc_path(parent, "/task/" + std::to_string(thread) + "/children"));
    if (!list) return std::nullopt;
    std::istringstream words(*list);
    for (pid_t child = 0; words >> child;) children.push_back(child);
  }
  return children;
}

// The ordinary case, answered by one system call.
bool has_no_child() {
  siginfo_t nothing{};
  return ::waitid(P_ALL, 0, &nothing, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD;
}

std::vector<pid_t> unknown_children(const std::vector<pid_t>& known) {
  if (has_no_child()) return {};
  std::vector<pid_t> children = children_of(::getpid());
  std::erase_if(children, [&known](pid_t child) {
    return std::find(known.begin(), known.end(), child) != known.end();
  });
  return children;
}

// True when it was reaped. REQUIRES: `child` is an unreaped child of this process, so that its pid is its
// own.
bool reap_until(pid_t child, SteadyTime deadline) {
  const Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  if (pidfd) wait_readable(pidfd.get(), deadline);
  return ::waitpid(child, nullptr, WNOHANG) == child;
}

}  // namespace

void become_subreaper() {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) throw_errno("cannot become the reaper of orphans");
}

std::vector<pid_t> children_of(pid_t parent) {
  if (auto children = listed_children(parent)) return *std::move(children);
  std::vector<pid_t> children = numbered_entries("/proc");
  std::erase_if(children, [parent](pid_t pid) { return parent_of(pid) != parent; });
  return children;
}

// Round by round: the dead of one round hand their own children to this process, which the next round finds.
ReapedOrphans kill_orphans(const std::vector<pid_t>& known, std::chrono::milliseconds limit) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + limit;
  ReapedOrphans result;
  for (;;) {
    const std::vector<pid_t> orphans = unknown_children(known);
    if (orphans.empty()) return result;
    for (const pid_t orphan : orphans) ::kill(orphan, SIGKILL);
    for (const pid_t orphan : orphans) result.reaped += reap_until(orphan, deadline) ? 1 : 0;
    if (std::chrono::steady_clock::now() >= deadline) {
      result.left = unknown_children(known);
      return result;
    }
  }
}

std::int64_t resident_bytes(pid_t pid) {
  const auto statm = try_read(proc_path(pid, "/statm"));
  if (!statm) return 0;
  std::istringstream words(*statm);
  std::int64_t total_pages = 0;
  std::int64_t resident_pages = 0;
  words >> total_pages >> resident_pages;
  return resident_pages * ::sysconf(_SC_PAGESIZE);
}

}  // namespace postpone::sys
