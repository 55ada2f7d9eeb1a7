// The task process's end of the channel to its sub-worker.
#pragma once

#include <atomic>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "libtask/wire/frame.h"

namespace libtask::detail {

// The channel is not what it should be: closed by a handler, no socket, or the sub-worker is gone in the
// middle of a frame.
class ChannelError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The number in the value of an environment variable that a sub-worker sets. Throws ChannelError.
int descriptor_of(std::string_view variable, std::string_view value);

class Channel {
 public:
  // Takes over the descriptor that `variable`, the value of POSTPONE_TASK_CHANNEL, names, and keeps it from
  // children that exec. Throws ChannelError.
  explicit Channel(const char* variable);

  // All three send whole frames: where one is under way, the first waits, and the others do nothing.

  // Throws ChannelError.
  void send(const wire::Frame& frame);
  // Does nothing when the sub-worker does not take it at once. Throws ChannelError.
  void send_if_free(const wire::Frame& frame);

  // The next frame, waiting for it; nothing when the sub-worker has closed the channel. Throws ChannelError,
  // ProtocolError.
  std::optional<wire::Frame> receive();
  // The next frame if one is there, without waiting; closed() says why there is none. Throws as receive().
  std::optional<wire::Frame> poll();
  bool closed() const { return closed_; }
  int descriptor() const { return fd_; }

  // By a signal handler: async-signal-safe. False when a thread, that which it interrupts or another one, is in
  // the middle of a frame; what when_free() has set is then called after it.
  bool send_from_signal_handler(std::string_view bytes) noexcept;
  void when_free(void (*call)()) { when_free_ = call; }

 private:
  std::optional<wire::Frame> read(int flags);
  void send_bytes(std::string_view bytes, std::size_t sent);
  bool claim() noexcept { return !sending_.exchange(true); }
  class Claimed;

  int fd_;
  std::atomic<bool> sending_{false};
  std::atomic<bool> was_refused_{false};  // to a signal handler, meanwhile
  void (*when_free_)() = nullptr;
  bool closed_ = false;
  wire::Decoder decoder_;
};

}  // namespace libtask::detail
