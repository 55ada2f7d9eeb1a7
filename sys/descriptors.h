// The descriptors of another process, as /proc tells.
#pragma once

#include <sys/types.h>

#include <array>
#include <optional>
#include <string>

#include "sys/fd.h"

namespace postpone::sys {

// Descriptors 0, 1 and 2 of a process, as they are now. Looked at after every job, so the directory stays
// open.
class StandardDescriptors {
 public:
  explicit StandardDescriptors(pid_t process);
  // What has become of them since: "descriptor 1 is closed", "descriptor 2 is /tmp/x". Empty when they are as
  // they were, and when the kernel does not let us look.
  std::string change() const;

 private:
  Fd directory_;
  std::array<std::optional<std::string>, 3> targets_;  // none: it was closed
};

// How many more descriptors a process may open; nothing when that cannot be told.
std::optional<long> free_descriptors(pid_t process);

}  // namespace postpone::sys
