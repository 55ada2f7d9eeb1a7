// A question to a process of this host, asked with a signal and answered over a socket: for a person who
// wants to know something of a process that has no other way to be asked.
//
// Who asks listens on an abstract socket that bears its pid and what it asks about, and sends SIGUSR2 with
// that number. Whoever may send that signal (the same user, or root) may ask; the answer goes to a process of
// such a user only. Across network namespaces there is no way for the answer.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sys/fd.h"

namespace postpone::sys {

// The one who asks.
class Inquiry {
 public:
  // Throws std::system_error when the socket cannot be had.
  explicit Inquiry(std::int64_t subject);

  // Asks. The descriptor is a pidfd: a recycled pid is never signalled. False, with errno, when the signal
  // cannot be sent. REQUIRES: the process catches SIGUSR2 (sys/doing.h); it would end one that does not.
  bool ask(int pidfd) const;

  // The answer of that process; nothing when none has come within `limit`. Whoever else connects is not
  // listened to.
  std::optional<std::string> answer(pid_t process, std::chrono::milliseconds limit) const;

 private:
  std::int64_t subject_;
  Fd listener_;
};

// The one who is asked.
struct Question {
  std::int64_t subject = 0;
  pid_t asker = 0;
};

// From now on SIGUSR2 is a question. A wait that it interrupts ends early.
void accept_inquiries();

// The last question that was asked and not taken; nothing when there is none. Costs nothing.
std::optional<Question> take_question();

// Answers it, without waiting for anybody: who has gone, or asks from elsewhere, hears nothing. At most about
// 64 KiB.
void answer(const Question& question, std::string_view text);

}  // namespace postpone::sys
