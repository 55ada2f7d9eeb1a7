// Opens the log file again when it was rotated, and takes levels that a reload has changed: told by the
// supervisor through the board, or by a SIGUSR1 of one's own.
#pragma once

#include <cstdint>

#include "board/board.h"

namespace postpone::subworker {

class LogFollower {
 public:
  // Opens the log file once more: the supervisor may have told of a rotation between our opening and this.
  // REQUIRES: the board outlives it; install_signal_handlers() was called.
  explicit LogFollower(const board::Board& board);

  // Looks whether there is something to do; costs nothing when not. Until then lines go to the file that was
  // open, under whatever name it has by now.
  void look();

 private:
  void follow() const;

  const board::Header& header_;
  std::uint32_t epoch_;  // the last that was followed
  int requests_;
};

}  // namespace postpone::subworker
