// Where the handler is, for people who wonder why a job takes so long: the sub-worker asks with a signal, the
// thread that runs the handler looks up its own stack in a signal handler, and sends it as a frame.
//
// Nothing is symbolised here, and nothing allocated: the frame holds addresses. A handler notices what it
// notices of any signal that is caught with SA_RESTART: a sleep() or poll() that ends early.
#pragma once

#include <cstdint>
#include <optional>

#include "channel.h"

namespace libtask::detail {

// Installs the signal handler and returns the signal; nothing when the program uses that signal for itself.
// The calling thread is taken for the one that runs handlers. REQUIRES: the channel lives until exit.
std::optional<int> tell_stack_when_asked(Channel& channel);

// While it lives, the answer names its job. While none lives, there is no answer.
class StackOfJob {
 public:
  explicit StackOfJob(std::int64_t job_id);
  ~StackOfJob();
  StackOfJob(const StackOfJob&) = delete;
  StackOfJob& operator=(const StackOfJob&) = delete;
};

}  // namespace libtask::detail
