// A service manager for tests: the socket that NOTIFY_SOCKET names, and what came over it.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "sys/fd.h"

namespace postpone::tests {

class NotifySocket {
 public:
  // At a path; or, when it begins with '@', an abstract one.
  explicit NotifySocket(const std::string& address);

  // The next datagram; nothing when none comes within `limit`.
  std::optional<std::string> next(std::chrono::milliseconds limit) const;
  // Reads on until a datagram has this line, and returns that datagram; empty when none comes (after long).
  std::string until(const std::string& line) const;
  // Throws away what has come so far.
  void forget() const;

 private:
  sys::Fd fd_;
};

// Whether a datagram has this line, or, when it ends with '=', one that begins so.
bool has_line(const std::string& datagram, const std::string& line);

}  // namespace postpone::tests
