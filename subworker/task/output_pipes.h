// The two pipes to which a task process writes stdout and stderr, and the Output that their bytes go to.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <utility>

#include "subworker/task/output.h"
#include "sys/fd.h"

namespace postpone::subworker {

class OutputPipes {
 public:
  using Clock = std::chrono::steady_clock;

  explicit OutputPipes(Output::Sink sink) : output_(std::move(sink)) {}

  // The reading ends. REQUIRES: they do not block.
  void open(sys::Fd out, sys::Fd err);

  Output& output() { return output_; }
  // To be polled for input; -1 when the task process and all that it has started have closed it.
  int fd(Output::Stream stream) const;

  // Reads what the pipes hold, for a few ms: a job that writes on and on keeps nothing else waiting.
  void drain();
  // What the pipes hold at this moment, all of it and no more: a helper or a thread that writes on does not
  // hold us up. `waiting` may be empty; it is called every few ms.
  void drain_what_is_there(const std::function<void()>& waiting);
  // That, and lines without an end: what was written so far is handed on.
  void pass_on();
  // Warns when output was dropped, because it is beyond max_output.
  void log_dropped() const;

 private:
  std::size_t drain(Output::Stream stream, std::size_t most, Clock::time_point until);

  sys::Fd pipes_[2];  // by Output::Stream
  Output output_;
};

}  // namespace postpone::subworker
