// Reports to a service manager (systemd), in its own protocol and without its library: a datagram of
// "NAME=value" lines to the Unix socket that NOTIFY_SOCKET names. man 3 sd_notify lists the names.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "sys/fd.h"

namespace postpone::sys {

class ServiceManager {
 public:
  // No service manager listens.
  ServiceManager() = default;

  // As the environment says: NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID. Takes them out of it, so that no
  // child inherits them and speaks in our name. REQUIRES: no other thread runs. Never throws: what is wrong
  // with them stands in problem(), and then no service manager listens.
  static ServiceManager from_environment();

  bool listens() const { return static_cast<bool>(socket_); }
  // Sends all lines as one datagram. Never blocks; false when the manager's queue is full, or it is gone.
  // True when none listens.
  bool tell(const std::string& lines) const;
  // How often WATCHDOG=1 is expected at least. Nothing: it is not.
  std::optional<std::chrono::microseconds> watchdog() const { return watchdog_; }
  const std::string& problem() const { return problem_; }

 private:
  void open(const std::string& address);

  std::string address_;  // as bind() takes it: an abstract one begins with '\0'
  Fd socket_;
  std::optional<std::chrono::microseconds> watchdog_;
  std::string problem_;
};

}  // namespace postpone::sys
