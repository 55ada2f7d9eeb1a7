// What /proc tells about children. Inside this room only; children_of() is for everybody.
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
// Nothing when the process is gone.
std::optional<Standing> standing_of(pid_t pid);

// The list that the kernel keeps for each thread; nothing when it has none (CONFIG_PROC_CHILDREN). It may
// leave out a child of another process while a sibling is being reaped; for children of the (one-threaded)
// caller it is exact.
std::optional<std::vector<pid_t>> listed_children(pid_t parent);

// The same by asking every process of the host for its parent.
std::vector<pid_t> scanned_children(pid_t parent);

}  // namespace postpone::sys
