// What /proc tells about children. Inside this room only; children_of() is for everybody.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string_view>
#include <vector>

namespace postpone::sys {

// The parent's pid in the text of /proc/PID/stat: "pid (name) state ppid ...". The name may hold anything,
// blanks and parentheses included. Nothing when the text is not of that form.
std::optional<pid_t> parent_in_stat(std::string_view stat);

// The list that the kernel keeps for each thread; nothing when it has none (CONFIG_PROC_CHILDREN). It may
// leave out a child of another process while a sibling is being reaped; for children of the (one-threaded)
// caller it is exact.
std::optional<std::vector<pid_t>> listed_children(pid_t parent);

// The same by asking every process of the host for its parent.
std::vector<pid_t> scanned_children(pid_t parent);

}  // namespace postpone::sys
