// The descriptors of another process, as /proc shows them.
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
  // Whether the kernel let us look at the beginning: at processes of another user root alone may.
  bool may_look() const { return may_look_; }

 private:
  Fd directory_;
  std::array<std::optional<std::string>, 3> targets_;  // none: it was closed
  bool may_look_;
};

// How many more descriptors a process may open; nothing when the kernel does not let us look.
std::optional<long> free_descriptors(pid_t process);

}  // namespace postpone::sys
