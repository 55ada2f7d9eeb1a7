#include "web/http/listen.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace postpone::web {
namespace {

constexpr int kBacklog = 128;
constexpr mode_t kSocketMode = 0660;

[[noreturn]] void refuse(const std::string& where, const std::string& why) {
  throw ListenError("cannot listen on " + where + ": " + why);
}

[[noreturn]] void refuse_errno(const std::string& where) {
  refuse(where, std::strerror(errno));
}

std::string text_of(const Address& address) {
  if (address.is_unix()) return address.path;
  const bool is_v6 = address.host.find(':') != std::string::npos;
  return (is_v6 ? "[" + address.host + "]" : address.host) + ":" + address.port;
}

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) refuse(path, "the path is too long for a Unix socket");
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// A socket on which no program listens refuses a connection.
void remove_what_is_left(const std::string& path, const sockaddr_un& address) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) return;
  if (!S_ISSOCK(found.st_mode)) refuse(path, "something else than a socket lies there");
  const sys::Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int answer = ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (answer == 0 || errno != ECONNREFUSED) refuse(path, "another program listens there");
  ::unlink(path.c_str());
}

using Found = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Found look_up(const Address& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found);
  if (error != 0) refuse(text_of(address), "that is no address of digits and port");
  return {found, &::freeaddrinfo};
}

}  // namespace

bool Address::is_loopback() const {
  return host == "::1" || host.starts_with("127.");
}

Address parse_address(const std::string& text) {
  if (text.find('/') != std::string::npos) return {text, "", ""};
  const std::size_t colon = text.rfind(':');
  const std::string wanted =
      "an address and a port, as 127.0.0.1:8080, or the path of a Unix socket, is wanted";
  if (colon == std::string::npos || colon + 1 == text.size()) refuse(text, wanted);
  Address address{"", text.substr(0, colon), text.substr(colon + 1)};
  if (address.port.find_first_not_of("0123456789") != std::string::npos || address.port.size() > 5 ||
      std::stoi(address.port) > 65'535)
    refuse(text, "the port is a number up to 65535");
  if (address.host.starts_with('[') && address.host.ends_with(']'))
    address.host = address.host.substr(1, address.host.size() - 2);
  if (address.host == "localhost") address.host = "127.0.0.1";
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  if (::inet_pton(AF_INET, address.host.c_str(), bytes.data()) != 1 &&
      ::inet_pton(AF_INET6, address.host.c_str(), bytes.data()) != 1)
    refuse(text, wanted);
  return address;
}

Listener::Listener(Address address) : address_(std::move(address)) {
  if (address_.is_unix())
    open_unix();
  else
    open_tcp();
  if (::listen(socket_.get(), kBacklog) != 0) refuse_errno(text_of(address_));
}

Listener::~Listener() {
  if (address_.is_unix() && socket_) ::unlink(address_.path.c_str());
}

void Listener::open_unix() {
  const sockaddr_un address = unix_address(address_.path);
  remove_what_is_left(address_.path, address);
  sys::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // The umask makes the mode right from the first moment on.
  const mode_t before = ::umask(0777 & ~kSocketMode);
  const int bound = ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::umask(before);
  if (bound != 0) refuse_errno(address_.path);
  socket_ = std::move(socket);
}

void Listener::open_tcp() {
  const Found found = look_up(address_);
  socket_ = sys::Fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(socket_.get(), found->ai_addr, found->ai_addrlen) != 0) refuse_errno(text_of(address_));
  if (address_.port != "0") return;
  sockaddr_storage chosen{};
  socklen_t size = sizeof chosen;
  ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&chosen), &size);
  const bool is_v6 = chosen.ss_family == AF_INET6;
  address_.port = std::to_string(ntohs(is_v6 ? reinterpret_cast<const sockaddr_in6&>(chosen).sin6_port
                                             : reinterpret_cast<const sockaddr_in&>(chosen).sin_port));
}

std::string Listener::url() const {
  return address_.is_unix() ? "unix:" + address_.path : "http://" + text_of(address_) + "/";
}

}  // namespace postpone::web
