#include "subworker/task/channel.h"

#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "subworker/task/polling.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
namespace wire = libtask::wire;

constexpr std::size_t kReadBytes = Channel::kMostAtOnce / 2;
// Between two bytes of one frame. A process that swaps may be slow; one that has begun a frame and forgotten
// it never ends it.
constexpr auto kHalfFrameLimit = 10s;
constexpr auto kSendLimit = 5s;

}  // namespace

bool Channel::read() {
  char bytes[kReadBytes];
  for (std::size_t total = 0; total < kMostAtOnce;) {
    const ssize_t n = ::read(socket_.get(), bytes, sizeof bytes);
    if (n > 0) {
      decoder_.append({bytes, static_cast<std::size_t>(n)});
      total += static_cast<std::size_t>(n);
    }
    if (n == 0 || (n < 0 && errno == ECONNRESET)) return false;
    if (n < 0 && errno == EINTR) continue;
    if (n < static_cast<ssize_t>(sizeof bytes)) return true;
  }
  return true;
}

void Channel::expect_whole_frames(Clock::time_point now) {
  const std::size_t pending = decoder_.pending();
  if (pending != half_frame_) half_frame_since_ = now;
  half_frame_ = pending;
  if (pending > 0 && now - half_frame_since_ > kHalfFrameLimit)
    throw wire::ProtocolError(fmt::format("it has begun a frame, and for {} s no more of it came",
                                          std::chrono::seconds(kHalfFrameLimit).count()));
}

void Channel::send(const wire::Frame& frame, const std::function<void()>& waiting) {
  const std::string bytes = wire::encode(frame, version_);
  std::string_view rest = bytes;
  const auto deadline = Clock::now() + kSendLimit;
  while (!rest.empty()) {
    const ssize_t n = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (n > 0) {
      rest.remove_prefix(static_cast<std::size_t>(n));
      continue;
    }
    if (errno != EAGAIN && errno != EINTR) return;
    if (Clock::now() > deadline) throw wire::ProtocolError("it does not read its channel");
    pollfd fd{socket_.get(), POLLOUT, 0};
    ::poll(&fd, 1, to_poll_timeout(kPollTick));
    waiting();
  }
}

void Channel::end_sending() {
  ::shutdown(socket_.get(), SHUT_WR);
}

}  // namespace postpone::subworker
