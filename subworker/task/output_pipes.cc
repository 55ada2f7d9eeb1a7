#include "subworker/task/output_pipes.h"
#include "sys/logger.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

// What is read of a pipe at once, and for how long between two looks at everything else. Bytes are no measure
// of the work that they make: 4 KiB may be 4096 lines.
constexpr std::size_t kPieceBytes = 4096;
constexpr auto kDrainTime = 10ms;

constexpr auto kStreams = {Output::Stream::out, Output::Stream::err};

}  // namespace

void OutputPipes::open(sys::Fd out, sys::Fd err) {
  pipes_[0] = std::move(out);
  pipes_[1] = std::move(err);
}

int OutputPipes::fd(Output::Stream stream) const {
  const sys::Fd& pipe = pipes_[static_cast<std::size_t>(stream)];
  return pipe ? pipe.get() : -1;
}

// Reads at most `most` bytes, and for no longer than `until` by much. Returns how much was read.
std::size_t OutputPipes::drain(Output::Stream stream, std::size_t most, Clock::time_point until) {
  sys::Fd& pipe = pipes_[static_cast<std::size_t>(stream)];
  char bytes[kPieceBytes];
  std::size_t total = 0;
  while (pipe && total < most) {
    const ssize_t n = ::read(pipe.get(), bytes, std::min(sizeof bytes, most - total));
    if (n == 0) pipe.reset();
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    output_.append(stream, {bytes, static_cast<std::size_t>(n)});
    total += static_cast<std::size_t>(n);
    if (static_cast<std::size_t>(n) < sizeof bytes || Clock::now() >= until) break;
  }
  return total;
}

void OutputPipes::drain() {
  for (const auto stream : kStreams)
    drain(stream, std::numeric_limits<std::size_t>::max(), Clock::now() + kDrainTime);
}

void OutputPipes::drain_what_is_there(const std::function<void()>& waiting) {
  for (const auto stream : kStreams) {
    int bytes = 0;
    if (fd(stream) < 0 || ::ioctl(fd(stream), FIONREAD, &bytes) != 0) continue;
    for (auto left = static_cast<std::size_t>(bytes); left > 0;) {
      const std::size_t got = drain(stream, left, Clock::now() + kDrainTime);
      if (got == 0) break;
      left -= got;
      if (left > 0 && waiting) waiting();
    }
  }
}

void OutputPipes::pass_on() {
  drain_what_is_there({});
  output_.finish();
}

void OutputPipes::log_dropped() const {
  if (output_.dropped_bytes() > 0)
    sys::log.warn("{} bytes of output are not logged: they are beyond max_output", output_.dropped_bytes());
}

}  // namespace postpone::subworker
