// Clients of the status socket that mean no good.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string>

#include "sys/fd.h"

namespace postpone::tests {

// A bare connection to the socket.
class Client {
 public:
  explicit Client(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      sys::throw_errno("connect " + path);
  }
  // False when the other side does not take it any more.
  bool send(const std::string& text) const {
    return ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }
  // All that comes until the other side closes, or until `wanted` is among it.
  std::string read(const std::string& wanted = "") {
    char bytes[4096];
    while (wanted.empty() || got_.find(wanted) == std::string::npos) {
      pollfd fd{fd_.get(), POLLIN, 0};
      if (::poll(&fd, 1, 40'000) <= 0) return got_ + "[nothing more came]";
      const ssize_t n = ::read(fd_.get(), bytes, sizeof bytes);
      if (n <= 0) return got_;
      got_.append(bytes, static_cast<std::size_t>(n));
    }
    return got_;
  }

  // Whether the other side has closed.
  bool is_hung_up() const {
    pollfd fd{fd_.get(), 0, 0};
    return ::poll(&fd, 1, 0) == 1 && (fd.revents & POLLHUP) != 0;
  }

 private:
  sys::Fd fd_;
  std::string got_;
};

}  // namespace postpone::tests
