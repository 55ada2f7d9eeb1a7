// What /proc shows of children. Inside this room only; other rooms call children_of().
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace postpone::sys {

// What stands in /proc/PID/stat: "pid (name) state ppid ...". The name may hold anything, blanks and
// parentheses included. Nothing when the text is not of that form.
struct Standing {
  char state = '?';  // 'Z' and 'X': it has ended
  pid_t parent = 0;
  std::uint64_t started = 0;  // in ticks since the machine's start: with the pid it names one process
};
std::optional<Standing> standing_in_stat(std::string_view stat);
// Nothing when the process is gone, or hidden. Throws std::system_error when /proc cannot be read: no
// descriptor is left, say.
std::optional<Standing> standing_of(pid_t pid);

// Whether /proc hides this process from us: mounted with hidepid, it shows processes of other users to those
// only that may trace them. REQUIRES: the process is not reaped.
bool is_hidden(pid_t pid);

// The list that the kernel keeps for each thread; nothing when it has none (CONFIG_PROC_CHILDREN). It may
// leave out a child of another process while a sibling is being reaped; for the caller's own children, where
// the caller has one thread, it is exact.
std::optional<std::vector<pid_t>> listed_children(pid_t parent);

// The same by asking every process of the host for its parent.
std::vector<pid_t> scanned_children(pid_t parent);

}  // namespace postpone::sys
