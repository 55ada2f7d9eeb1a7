#include "cli/status_client.h"

#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

#include "cli/exit_code.h"
#include "config/config.h"
#include "sys/fd.h"

namespace postpone::cli {
namespace {

constexpr std::size_t kMostBytes = std::size_t{64} << 20;

[[noreturn]] void fail(const std::string& socket, const std::string& why) {
  throw Failure(ExitCode::unreachable, "status socket " + socket + ": " + why);
}

std::string explain(int error, std::chrono::milliseconds timeout) {
  const std::string text = std::strerror(error);
  if (error == ENOENT || error == ECONNREFUSED)
    return text + "; is the supervisor running, and is this the path of its [status] socket?";
  if (error == EACCES) return text + "; [status] mode and group say who may";
  if (error == EAGAIN)
    return fmt::format("no answer within {:g} s: the supervisor's loop does not run",
                       std::chrono::duration<double>(timeout).count());
  return text;
}

timeval to_timeval(std::chrono::milliseconds time) {
  return {time.count() / 1000, time.count() % 1000 * 1000};
}

sys::Fd connect_to(const std::string& path, std::chrono::milliseconds timeout) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) fail(path, "the path is too long for a Unix socket");
  std::memcpy(address.sun_path, path.data(), path.size());
  sys::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) fail(path, std::strerror(errno));
  const timeval patience = to_timeval(timeout);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    fail(path, explain(errno, timeout));
  return fd;
}

// The server closes behind its answer, as it was asked to.
std::string read_to_end(int fd, const std::string& path, std::chrono::milliseconds timeout) {
  std::string answer;
  std::array<char, 65'536> bytes;
  for (;;) {
    const ssize_t n = ::read(fd, bytes.data(), bytes.size());
    if (n == 0) return answer;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(path, explain(errno, timeout));
    answer.append(bytes.data(), static_cast<std::size_t>(n));
    if (answer.size() > kMostBytes) fail(path, "the answer has no end");
  }
}

}  // namespace

std::optional<std::string> find_status_socket(const std::string& socket, const std::string& config_file) {
  if (!socket.empty()) return socket;
  if (config_file.empty()) return std::nullopt;
  const config::ParseResult result = config::load(config_file);
  if (!result.config)
    throw Failure(ExitCode::configuration,
                  config::to_string(result.problems.front(), config_file) + "; `postpone config check " +
                      config_file + "` lists every problem, --socket PATH asks the supervisor nevertheless");
  if (result.config->status.socket.empty()) return std::nullopt;
  return result.config->status.socket;
}

std::string status_socket(const std::string& socket, const std::string& config_file) {
  auto found = find_status_socket(socket, config_file);
  if (found) return *found;
  if (config_file.empty())
    throw Failure(ExitCode::usage,
                  "which supervisor? give --socket PATH, or --config FILE with [status] socket");
  throw Failure(ExitCode::configuration,
                config_file + ": has no [status] socket, so its supervisor has none; set one and restart it");
}

StatusAnswer ask_status(const std::string& socket, const std::string& target,
                        std::chrono::milliseconds timeout) {
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  const sys::Fd fd = connect_to(socket, timeout);
  const std::string request = "GET " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    fail(socket, explain(errno, timeout));
  const std::string answer = read_to_end(fd.get(), socket, timeout);
  const std::size_t header_end = answer.find("\r\n\r\n");
  if (!answer.starts_with(kVersion) || header_end == std::string::npos)
    fail(socket, "what answers there is no supervisor");
  StatusAnswer result;
  result.reason = answer.substr(kVersion.size(), answer.find('\r') - kVersion.size());
  std::from_chars(result.reason.data(), result.reason.data() + result.reason.size(), result.status);
  result.body = answer.substr(header_end + 4);
  return result;
}

std::string get(const std::string& socket, const std::string& target) {
  StatusAnswer answer = ask_status(socket, target);
  if (answer.status != 200) fail(socket, "answered " + answer.reason);
  return std::move(answer.body);
}

}  // namespace postpone::cli
