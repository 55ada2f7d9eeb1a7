#include "sys/leftovers.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "sys/deadline.h"
#include "sys/proc.h"
#include "sys/process.h"

namespace postpone::sys {

namespace {

// Each costs a descriptor for as long as the look lasts; there may be thousands, which take several looks.
constexpr std::size_t kMostInALook = 256;

bool is_dead(const Standing& standing) {
  return standing.state == 'Z' || standing.state == 'X';
}

std::vector<pid_t> numbers_in(std::string_view text) {
  std::vector<pid_t> numbers;
  for (const char* at = text.data(); at != text.data() + text.size();) {
    pid_t number = 0;
    const auto [end, error] = std::from_chars(at, text.data() + text.size(), number);
    if (error != std::errc{}) break;
    numbers.push_back(number);
    at = std::find_if(end, text.data() + text.size(), [](char c) { return c != ' '; });
  }
  return numbers;
}

Fd open_process(pid_t pid) {
  return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

bool lives(const Fd& process) {
  pollfd end{process.get(), POLLIN, 0};
  return process && ::poll(&end, 1, 0) == 0;
}

[[noreturn]] void throw_hidden(pid_t pid) {
  throw std::system_error(EACCES, std::generic_category(),
                          "/proc hides process " + std::to_string(pid) + " of another user (hidepid)");
}

}  // namespace

ChildrenFile::ChildrenFile(pid_t parent) : parent_(parent), process_(open_process(parent)) {
  const std::string threads = "/proc/" + std::to_string(parent) + "/task";
  threads_ = Fd(::open(threads.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const std::string first = threads + "/" + std::to_string(parent) + "/children";
  children_ = Fd(::open(first.c_str(), O_RDONLY | O_CLOEXEC));
}

// A read from the beginning is one walk over the kernel's list. That it is empty is exact; a longer one may
// leave a child out while a sibling of it is being reaped (listed_children()), so sweep() looks again.
std::vector<pid_t> ChildrenFile::read() const {
  constexpr nlink_t kLinksOfOneThread = 3;  // two, as every directory, and one for each thread
  struct stat status {};
  const bool one_thread =
      threads_ && children_ && ::fstat(threads_.get(), &status) == 0 && status.st_nlink == kLinksOfOneThread;
  if (!one_thread) return search();
  std::array<char, 1024> text;
  const ssize_t size = ::pread(children_.get(), text.data(), text.size(), 0);
  if (size < 0 || static_cast<std::size_t>(size) == text.size()) return search();
  return numbers_in({text.data(), static_cast<std::size_t>(size)});
}

// A process that is hidden looks like one that is gone, but lives.
std::vector<pid_t> ChildrenFile::search() const {
  auto children = children_of(parent_);
  if (children.empty() && is_hidden(parent_) && (!process_ || lives(process_))) throw_hidden(parent_);
  return children;
}

Leftovers::Leftovers(pid_t task) : task_(task), ours_(::getpid()), of_task_(task) {
  keep_descendants_of(::getpid());
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the tree of processes
void Leftovers::keep_descendants_of(pid_t parent) {
  for (const pid_t child : children_of(parent)) {
    const auto standing = standing_of(child);
    if (!standing || is_dead(*standing)) continue;
    if (child != task_) kept_.push_back({child, standing->started});
    keep_descendants_of(child);
  }
}

bool Leftovers::is_kept(pid_t pid, std::uint64_t started) const {
  return std::any_of(kept_.begin(), kept_.end(),
                     [&](const Identity& kept) { return kept.pid == pid && kept.started == started; });
}

bool Leftovers::may_be_kept(pid_t pid) const {
  return std::any_of(kept_.begin(), kept_.end(), [&](const Identity& kept) { return kept.pid == pid; });
}

// A child of ours keeps its number until we reap it, so the number is safe to kill by, and at once: some live
// for no longer than a fork takes.
void Leftovers::kill_ours(pid_t child, Look& look) const {
  if (child == task_) return;
  look.saw_none = false;
  if (look.killed.size() >= kMostInALook) return;
  if (::waitpid(child, nullptr, WNOHANG) == child) return;
  if (may_be_kept(child)) {
    const auto standing = standing_of(child);
    if (standing && is_kept(child, standing->started)) return;
  }
  ::kill(child, SIGKILL);
  look.killed.emplace_back(child, open_process(child));
}

// The task process may reap a child of its own at any moment, and the kernel give the number to another
// process: so the descriptor comes first, and then a look at whose child that is.
void Leftovers::kill_of_task(pid_t child, Look& look) const {
  look.saw_none = false;
  if (look.killed.size() >= kMostInALook) return;
  Fd process = open_process(child);
  if (!process && errno != ESRCH) throw_errno("pidfd_open");
  const auto standing = standing_of(child);
  if (!standing && lives(process)) throw_hidden(child);
  if (!process || !standing || standing->parent != task_) return;
  if (is_dead(*standing)) {
    ++look.dead;
  } else if (!is_kept(child, standing->started)) {
    ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
    look.killed.emplace_back(child, std::move(process));
  }
}

// The task process first: when it has no child, what else a job has left hangs below a child of ours, and
// nothing of that can become a child of the task process any more.
Leftovers::Look Leftovers::look_and_kill() const {
  Look look;
  for (const pid_t child : of_task_.read()) kill_of_task(child, look);
  for (const pid_t child : ours_.read()) kill_ours(child, look);
  return look;
}

// Round by round: the dead of one round hand their own children up, which the next round finds.
Leftovers::Sweep Leftovers::sweep(std::chrono::milliseconds limit) const {
  const SteadyTime deadline = std::chrono::steady_clock::now() + limit;
  Sweep sweep;
  for (bool found_none_before = false;;) {
    const Look look = look_and_kill();
    sweep.dead = look.dead;
    if (look.killed.empty() && (look.saw_none || found_none_before)) return sweep;
    found_none_before = look.killed.empty();
    for (const auto& [pid, process] : look.killed) {
      if (process && wait_readable(process.get(), deadline)) ++sweep.killed;
      ::waitpid(pid, nullptr, WNOHANG);  // in vain when it is not ours
    }
    if (look.killed.empty() || std::chrono::steady_clock::now() < deadline) continue;
    for (const auto& [pid, process] : look_and_kill().killed) sweep.left.push_back(pid);
    return sweep;
  }
}

}  // namespace postpone::sys
