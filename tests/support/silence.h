// Things that do not answer: for tests of whoever waits for them.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "tests/support/signals.h"

namespace postpone::tests {

// A TCP port of 127.0.0.1 that takes connections, and then says nothing for ever.
class SilentPort {
 public:
  SilentPort() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (socket_ < 0 || ::bind(socket_, generic, size) != 0 || ::listen(socket_, 16) != 0 ||
        ::getsockname(socket_, generic, &size) != 0) {
      throw std::system_error(errno, std::generic_category(), "a silent port");
    }
    port_ = ntohs(address.sin_port);
  }
  SilentPort(const SilentPort&) = delete;
  SilentPort& operator=(const SilentPort&) = delete;
  ~SilentPort() { ::close(socket_); }

  int port() const { return port_; }

 private:
  int socket_;
  int port_ = 0;
};

// A process that is stopped for as long as this lives.
class FrozenProcess {
 public:
  explicit FrozenProcess(pid_t pid) : pid_(pid) {
    if (!send_signal(pid_, SIGSTOP)) throw std::system_error(errno, std::generic_category(), "SIGSTOP");
  }
  FrozenProcess(const FrozenProcess&) = delete;
  FrozenProcess& operator=(const FrozenProcess&) = delete;
  ~FrozenProcess() { send_signal(pid_, SIGCONT); }

 private:
  pid_t pid_;
};

}  // namespace postpone::tests
