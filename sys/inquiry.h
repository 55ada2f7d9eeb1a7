// A question to a process of this host, asked with a signal and answered over a socket: for a person who
// wants to know something of a process that has no other way to be asked.
//
// The asking process listens on an abstract socket, whose name holds its pid and the subject of the question,
// and sends SIGUSR2 with that subject. Any process that may send the signal (of the same user, or of root)
// may ask, and the answer goes to a process of such a user only. It does not reach another network namespace.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sys/fd.h"

namespace postpone::sys {

// In the asking process.
class Inquiry {
 public:
  // Throws std::system_error when the socket cannot be had.
  explicit Inquiry(std::int64_t subject);

  // Asks. The descriptor is a pidfd: a recycled pid is never signalled. False, with errno, when the signal
  // cannot be sent. REQUIRES: the process catches SIGUSR2 (sys/doing.h); it would end one that does not.
  bool ask(int pidfd) const;

  // The answer of that process; nothing when none has come within `limit`. Connections of other processes are
  // closed unread.
  std::optional<std::string> answer(pid_t process, std::chrono::milliseconds limit) const;

 private:
  std::int64_t subject_;
  Fd listener_;
};

// In the process that is asked.
struct Question {
  std::int64_t subject = 0;
  pid_t asker = 0;
};

// From now on SIGUSR2 is a question. A wait that it interrupts ends early.
void accept_inquiries();

// The last question that was asked and not taken; nothing when there is none. Costs nothing.
std::optional<Question> take_question();

// Answers it, with at most about 64 KiB. Never waits: an asking process that has gone, or asks from
// elsewhere, gets nothing.
void answer(const Question& question, std::string_view text);

}  // namespace postpone::sys
