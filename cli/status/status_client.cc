#include "cli/status/status_client.h"

#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "cli/configuration.h"
#include "cli/exit_code.h"
#include "sys/fd.h"

namespace postpone::cli {
namespace {

constexpr std::size_t kMostBytes = std::size_t{64} << 20;
constexpr int kMoment_ms = 50;
constexpr int kKnownSchema = 1;  // schema_version of the status page (docs/status.md)

[[noreturn]] void fail(const std::string& socket, const std::string& why) {
  throw Failure(ExitCode::unreachable, "status socket " + socket + ": " + why);
}

// One question to the supervisor, and its answer. The supervisor may hang, so each wait is short, and ends
// when the time is over or the caller wants to be interrupted.
class Exchange {
 public:
  Exchange(const std::string& path, std::chrono::milliseconds timeout,
           const std::function<bool()>& interrupted)
      : path_(path), timeout_(timeout), until_(Clock::now() + timeout), interrupted_(interrupted) {}

  void connect() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof address.sun_path) fail(path_, "the path is too long for a Unix socket");
    std::memcpy(address.sun_path, path_.data(), path_.size());
    fd_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd_) fail(path_, std::strerror(errno));
    while (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      if (errno != EAGAIN && errno != EINTR) fail(path_, explain(errno));
      wait(-1);  // the queue of the socket is full, and no event says when there is room
    }
  }

  void send(std::string_view request) {
    while (!request.empty()) {
      const ssize_t n = ::send(fd_.get(), request.data(), request.size(), MSG_NOSIGNAL);
      if (n >= 0)
        request.remove_prefix(static_cast<std::size_t>(n));
      else if (errno == EAGAIN || errno == EINTR)
        wait(POLLOUT);
      else if (errno == EPIPE || errno == ECONNRESET)
        return;  // the server has closed already, and its answer says why
      else
        fail(path_, explain(errno));
    }
  }

  // The server closes the connection behind its answer, as "Connection: close" asks it to. A connection that
  // it closes before it has read the question is reset.
  std::string read_to_end() {
    std::string answer;
    std::array<char, 65'536> bytes;
    for (;;) {
      const ssize_t n = ::read(fd_.get(), bytes.data(), bytes.size());
      if (n == 0 || (n < 0 && errno == ECONNRESET)) return answer;
      if (n > 0)
        answer.append(bytes.data(), static_cast<std::size_t>(n));
      else if (errno == EAGAIN || errno == EINTR)
        wait(POLLIN);
      else
        fail(path_, explain(errno));
      if (answer.size() > kMostBytes) fail(path_, "the answer has no end");
    }
  }

 private:
  using Clock = std::chrono::steady_clock;

  static std::string explain(int error) {
    std::string text = std::strerror(error);
    if (error == ENOENT || error == ECONNREFUSED)
      return text + "; is the supervisor running, and is this the path of its [status] socket?";
    if (error == EACCES) return text + "; [status] mode and group decide who may connect";
    return text;
  }

  // Waits for a moment, or until one of these poll() events comes (-1: waits for none).
  void wait(int events) const {
    if (interrupted_ && interrupted_()) throw Interrupted();
    if (Clock::now() >= until_)
      fail(path_, fmt::format("no answer within {:g} s: the supervisor's loop does not run",
                              std::chrono::duration<double>(timeout_).count()));
    pollfd fd{events < 0 ? -1 : fd_.get(), static_cast<short>(events < 0 ? 0 : events), 0};
    ::poll(&fd, 1, kMoment_ms);
  }

  const std::string& path_;
  const std::chrono::milliseconds timeout_;
  const Clock::time_point until_;
  const std::function<bool()>& interrupted_;
  sys::Fd fd_;
};

// The value of Content-Length in a header; -1 when there is none.
long long content_length(std::string_view header) {
  constexpr std::string_view kName = "\r\nContent-Length: ";
  const std::size_t at = header.find(kName);
  long long length = -1;
  if (at != std::string_view::npos)
    std::from_chars(header.data() + at + kName.size(), header.data() + header.size(), length);
  return length;
}

}  // namespace

std::optional<std::string> find_status_socket(const std::string& socket, const std::string& config_file) {
  if (!socket.empty()) return socket;
  if (config_file.empty()) return std::nullopt;
  const config::ParseResult& result = load_configuration(config_file);
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
                        std::chrono::milliseconds timeout, const std::function<bool()>& interrupted) {
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  Exchange exchange(socket, timeout, interrupted);
  exchange.connect();
  exchange.send("GET " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  const std::string answer = exchange.read_to_end();
  if (answer.empty()) fail(socket, "closed without an answer: too many clients ask at once, or it ends");
  const std::size_t header_end = answer.find("\r\n\r\n");
  if (!answer.starts_with(kVersion) || header_end == std::string::npos)
    fail(socket, "what answers there is no supervisor");
  StatusAnswer result;
  result.reason = answer.substr(kVersion.size(), answer.find('\r') - kVersion.size());
  std::from_chars(result.reason.data(), result.reason.data() + result.reason.size(), result.status);
  result.body = answer.substr(header_end + 4);
  if (content_length(answer.substr(0, header_end)) != static_cast<long long>(result.body.size()))
    fail(socket, "the answer ended early");
  return result;
}

std::string fetch_status_text(const std::string& socket, const std::function<bool()>& interrupted) {
  StatusAnswer answer = ask_status(socket, "/status", std::chrono::seconds(5), interrupted);
  if (answer.status != 200) fail(socket, "answered " + answer.reason);
  return std::move(answer.body);
}

nlohmann::json fetch_status(const std::string& socket, const std::function<bool()>& interrupted) {
  const std::string body = fetch_status_text(socket, interrupted);
  try {
    auto status = nlohmann::json::parse(body);
    if (status.at("schema_version") != kKnownSchema)
      throw Failure(ExitCode::not_done,
                    "the supervisor speaks another version of the status page; use the `postpone` of "
                    "its installation, or --json");
    return status;
  } catch (const nlohmann::json::exception&) {
    fail(socket, "what answers there is no supervisor");
  }
}

}  // namespace postpone::cli
