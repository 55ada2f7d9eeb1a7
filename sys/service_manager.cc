#include "sys/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

namespace postpone::sys {
namespace {

std::string take_variable(const char* name) {
  const char* value = std::getenv(name);
  std::string taken = value ? value : "";
  ::unsetenv(name);
  return taken;
}

std::optional<long long> number(std::string_view text) {
  long long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value <= 0) return std::nullopt;
  return value;
}

}  // namespace

ServiceManager ServiceManager::from_environment() {
  const std::string address = take_variable("NOTIFY_SOCKET");
  const std::string usec = take_variable("WATCHDOG_USEC");
  const std::string pid = take_variable("WATCHDOG_PID");
  ServiceManager manager;
  if (address.empty()) return manager;
  manager.open(address);
  // Unless it names us or no process, it is meant for another one, from which we have inherited it.
  const bool for_us = pid.empty() || number(pid) == ::getpid();
  if (!manager.listens() || usec.empty() || !for_us) return manager;
  if (const auto limit = number(usec))
    manager.watchdog_ = std::chrono::microseconds(*limit);
  else
    manager.problem_ = "WATCHDOG_USEC is \"" + usec + "\", which is no number of microseconds: no watchdog";
  return manager;
}

void ServiceManager::open(const std::string& address) {
  const bool abstract = address.front() == '@';
  if (!abstract && address.front() != '/') {
    problem_ = "NOTIFY_SOCKET is \"" + address + "\", which is no Unix socket: no notifications";
    return;
  }
  if (address.size() >= sizeof(sockaddr_un::sun_path)) {
    problem_ = "NOTIFY_SOCKET is longer than the path of a socket can be: no notifications";
    return;
  }
  Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) {
    problem_ = std::string("NOTIFY_SOCKET: no socket to be had: ") + std::strerror(errno);
    return;
  }
  address_ = address;
  if (abstract) address_.front() = '\0';
  socket_ = std::move(fd);
}

bool ServiceManager::tell(const std::string& lines) const {
  if (!socket_) return true;
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, address_.data(), address_.size());
  // An abstract name is as long as it is; a path ends with its NUL.
  const std::size_t bytes = offsetof(sockaddr_un, sun_path) + address_.size() + (address_[0] ? 1 : 0);
  ssize_t sent = 0;
  do {
    sent = ::sendto(socket_.get(), lines.data(), lines.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                    reinterpret_cast<const sockaddr*>(&to), static_cast<socklen_t>(bytes));
  } while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

}  // namespace postpone::sys
