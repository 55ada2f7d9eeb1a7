#include "cli/status_client.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "cli/exit_code.h"
#include "config/config.h"
#include "sys/fd.h"

namespace postpone::cli {
namespace {

constexpr timeval kPatience{5, 0};
constexpr std::size_t kMostBytes = std::size_t{64} << 20;

[[noreturn]] void fail(const std::string& socket, const std::string& why) {
  throw Failure(ExitCode::unreachable, "status socket " + socket + ": " + why);
}

std::string explain(int error) {
  const std::string text = std::strerror(error);
  if (error == ENOENT || error == ECONNREFUSED)
    return text + "; is the supervisor running, and is this the path of its [status] socket?";
  if (error == EACCES) return text + "; [status] mode and group say who may";
  if (error == EAGAIN) return "no answer within 5 s: the supervisor's loop does not run";
  return text;
}

sys::Fd connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) fail(path, "the path is too long for a Unix socket");
  std::memcpy(address.sun_path, path.data(), path.size());
  sys::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) fail(path, std::strerror(errno));
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    fail(path, explain(errno));
  return fd;
}

// The server closes behind its answer, as it was asked to.
std::string read_to_end(int fd, const std::string& path) {
  std::string answer;
  std::array<char, 65'536> bytes;
  for (;;) {
    const ssize_t n = ::read(fd, bytes.data(), bytes.size());
    if (n == 0) return answer;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(path, explain(errno));
    answer.append(bytes.data(), static_cast<std::size_t>(n));
    if (answer.size() > kMostBytes) fail(path, "the answer has no end");
  }
}

}  // namespace

std::string status_socket(const std::string& socket, const std::string& config_file) {
  if (!socket.empty()) return socket;
  if (config_file.empty())
    throw Failure(ExitCode::usage,
                  "which supervisor? give --socket PATH, or --config FILE with [status] socket");
  const config::ParseResult result = config::load(config_file);
  if (!result.config)
    throw Failure(ExitCode::configuration, config::to_string(result.problems.front(), config_file) +
                                               "; `postpone config check " + config_file +
                                               "` lists every problem");
  if (result.config->status.socket.empty())
    throw Failure(ExitCode::configuration,
                  config_file +
                      ": has no [status] socket, so its supervisor has none; set one "
                      "and restart it");
  return result.config->status.socket;
}

std::string get(const std::string& socket, const std::string& target) {
  const sys::Fd fd = connect_to(socket);
  const std::string request = "GET " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    fail(socket, explain(errno));
  const std::string answer = read_to_end(fd.get(), socket);
  const std::size_t header_end = answer.find("\r\n\r\n");
  if (!answer.starts_with("HTTP/1.1 ") || header_end == std::string::npos)
    fail(socket, "what answers there is no supervisor");
  if (!answer.starts_with("HTTP/1.1 200 "))
    fail(socket, "answered " + answer.substr(9, answer.find('\r') - 9));
  return answer.substr(header_end + 4);
}

}  // namespace postpone::cli
