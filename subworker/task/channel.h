// The channel to a task process, at the sub-worker's end: whole frames out of a socket that does not block,
// and whole frames into it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "libtask/wire/frame.h"
#include "sys/fd.h"

namespace postpone::subworker {

class Channel {
 public:
  using Clock = std::chrono::steady_clock;

  Channel() = default;
  // REQUIRES: the socket does not block.
  explicit Channel(sys::Fd socket) : socket_(std::move(socket)) {}

  int fd() const { return socket_.get(); }

  // The version of the protocol that the task process speaks, once its hello has said so.
  void set_version(std::uint16_t version) {
    version_ = version;
    decoder_.set_version(version);
  }

  // Reads what has come, which next() hands out frame by frame; of much only a part, so that a task process
  // that writes on and on keeps nothing else waiting. False at the end of the channel.
  bool read();
  static constexpr std::size_t kMostAtOnce = 128UL * 1024;
  // Throws libtask::wire::ProtocolError for what is no frame.
  std::optional<libtask::wire::Frame> next() { return decoder_.next(); }
  // Bytes of a frame that has begun.
  std::size_t pending() const { return decoder_.pending(); }
  // The rest of a frame that has begun has to come: what a handler has written into the channel by itself
  // would else hide the result for ever. To be called after each read(). Throws ProtocolError.
  void expect_whole_frames(Clock::time_point now);

  // A task process that does not read its channel is found out by its deadline; here a full channel only
  // means that the frame is late, so it is sent in small steps, with `waiting` called in between. A process
  // that has gone is noticed by the next read(). Throws ProtocolError when it does not read for several
  // seconds, and std::length_error when the frame is too large.
  void send(const libtask::wire::Frame& frame, const std::function<void()>& waiting);

  // Says that nothing more will be sent, which makes the task process go.
  void end_sending();
  void close() { socket_.reset(); }

 private:
  sys::Fd socket_;
  libtask::wire::Decoder decoder_;
  std::uint16_t version_ = libtask::wire::kProtocolVersion;
  std::size_t half_frame_ = 0;  // bytes of it, the last time
  Clock::time_point half_frame_since_;
};

}  // namespace postpone::subworker
