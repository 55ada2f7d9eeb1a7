// A member's end of the leash: what it says of itself to the supervisor, and whether the supervisor is still
// there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "board/family.h"
#include "sys/fd.h"

namespace postpone::subworker {

class Leash {
 public:
  // No leash: a sub-worker that was started by hand.
  Leash() = default;
  Leash(sys::Fd fd, std::uint32_t generation) : fd_(std::move(fd)), generation_(generation) {}

  bool exists() const { return static_cast<bool>(fd_); }

  // Says a word; a supervisor that is gone does not hear it.
  void say(board::LeashWord word, std::int64_t lease) const;

  // By the preflight: a reason why its answer is no, or not there yet.
  void say_why(std::string_view reason) const;
  // By the preflight: so many jobs of a task may run at a time. False when the supervisor did not get that.
  bool say_limit(std::string_view task, std::uint32_t limit) const;

  // True once the supervisor's end is closed. Never without a leash.
  bool supervisor_gone() const;

 private:
  bool send(board::PreflightWord word, std::string text) const;

  sys::Fd fd_;
  std::uint32_t generation_ = 0;
};

}  // namespace postpone::subworker
