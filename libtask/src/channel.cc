#include "channel.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>
#include <thread>

namespace libtask::detail {
namespace {

[[noreturn]] void fail(const std::string& step) {
  const int error = errno;
  throw ChannelError(step + ": " + std::strerror(error));
}

}  // namespace

int descriptor_of(std::string_view variable, std::string_view value) {
  int fd = -1;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), fd);
  if (error != std::errc() || end != value.data() + value.size() || fd < 0) {
    throw ChannelError(std::string(variable) + " is \"" + std::string(value) +
                       "\", which is no descriptor; it is for sub-workers to set");
  }
  return fd;
}

// The rest of the time during which nobody else must send. REQUIRES: it is claimed.
class Channel::Claimed {
 public:
  explicit Claimed(Channel& channel) : channel_(channel) {}
  ~Claimed() {
    channel_.sending_ = false;
    if (channel_.was_refused_.exchange(false) && channel_.when_free_ != nullptr) channel_.when_free_();
  }
  Claimed(const Claimed&) = delete;
  Claimed& operator=(const Claimed&) = delete;

 private:
  Channel& channel_;
};

Channel::Channel(const char* variable) : fd_(descriptor_of(wire::kChannelVariable, variable)) {
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(fd_, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
    fail(std::string(wire::kChannelVariable) + " is set, but descriptor " + variable + " is no channel");
  }
  if (fcntl(fd_, F_SETFD, FD_CLOEXEC) != 0) fail("cannot make the channel close-on-exec");
}

void Channel::send(const wire::Frame& frame) {
  const std::string bytes = wire::encode(frame);
  while (!claim()) std::this_thread::yield();  // a signal handler sends, in another thread: a few bytes
  const Claimed claimed(*this);
  send_bytes(bytes, 0);
}

void Channel::send_bytes(std::string_view bytes, std::size_t sent) {
  while (sent < bytes.size()) {
    const ssize_t n = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n >= 0) {
      sent += static_cast<std::size_t>(n);
    } else if (errno != EINTR) {
      fail("cannot write to the channel (descriptor " + std::to_string(fd_) + ", did a handler close it?)");
    }
  }
}

void Channel::send_if_free(const wire::Frame& frame) {
  const std::string bytes = wire::encode(frame);
  if (!claim()) return;
  const Claimed claimed(*this);
  const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  // A frame that is begun must be ended; any other error shows again there.
  send_bytes(bytes, n < 0 ? 0 : static_cast<std::size_t>(n));
}

// A frame that is begun must be ended; one that the sub-worker does not take at once is not begun. Who sends meanwhile looks
// for a refusal only after it has let go: so the second try.
bool Channel::send_from_signal_handler(std::string_view bytes) noexcept {
  if (!claim()) {
    was_refused_ = true;
    if (!claim()) return false;
    was_refused_ = false;
  }
  int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), flags);
    if (n < 0 && errno != EINTR) break;
    if (n <= 0) continue;
    bytes.remove_prefix(static_cast<std::size_t>(n));
    flags = MSG_NOSIGNAL;
  }
  sending_ = false;
  return true;
}

std::optional<wire::Frame> Channel::receive() {
  return read(0);
}

std::optional<wire::Frame> Channel::poll() {
  return read(MSG_DONTWAIT);
}

std::optional<wire::Frame> Channel::read(int flags) {
  std::array<char, 16'384> bytes;  // left uninitialised: recv fills it
  while (true) {
    if (auto frame = decoder_.next()) return frame;
    if (closed_) return std::nullopt;
    const ssize_t n = recv(fd_, bytes.data(), bytes.size(), flags);
    if (n > 0) {
      decoder_.append({bytes.data(), static_cast<std::size_t>(n)});
    } else if (n == 0 || errno == ECONNRESET) {
      closed_ = true;
    } else if (errno == EAGAIN) {
      return std::nullopt;
    } else if (errno != EINTR) {
      fail("cannot read from the channel (descriptor " + std::to_string(fd_) + ", did a handler close it?)");
    }
  }
}

}  // namespace libtask::detail
