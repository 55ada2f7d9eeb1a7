#include "tests/support/notify_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

namespace postpone::tests {

using namespace std::chrono_literals;

NotifySocket::NotifySocket(const std::string& address)
    : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  std::memcpy(at.sun_path, address.data(), address.size());
  const bool abstract = address.front() == '@';
  if (abstract) at.sun_path[0] = '\0';
  const std::size_t bytes = offsetof(sockaddr_un, sun_path) + address.size() + (abstract ? 0 : 1);
  if (::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&at), static_cast<socklen_t>(bytes)) != 0)
    sys::throw_errno("bind " + address);
}

std::optional<std::string> NotifySocket::next(std::chrono::milliseconds limit) const {
  pollfd fd{fd_.get(), POLLIN, 0};
  if (::poll(&fd, 1, static_cast<int>(limit.count())) <= 0) return std::nullopt;
  std::array<char, 4096> buffer;
  const ssize_t bytes = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
  if (bytes < 0) sys::throw_errno("recv");
  return std::string(buffer.data(), static_cast<std::size_t>(bytes));
}

std::string NotifySocket::until(const std::string& line) const {
  const auto limit = std::chrono::steady_clock::now() + 60s;
  while (std::chrono::steady_clock::now() < limit) {
    const auto datagram = next(1s);
    if (datagram && has_line(*datagram, line)) return *datagram;
  }
  return "";
}

void NotifySocket::forget() const {
  while (next(0ms)) {
  }
}

bool has_line(const std::string& datagram, const std::string& line) {
  const std::string lines = '\n' + datagram;
  return lines.find('\n' + line + (line.back() == '=' ? "" : "\n")) != std::string::npos;
}

}  // namespace postpone::tests
