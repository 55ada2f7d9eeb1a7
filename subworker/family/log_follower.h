// Opens the log file again when it was rotated, and takes levels that a reload has changed. The supervisor
// asks for it through the board, and a SIGUSR1 to this process does.
#pragma once

#include <cstdint>

#include "board/board.h"

namespace postpone::subworker {

class LogFollower {
 public:
  // Opens the log file once more: a rotation may have come between our opening it and this.
  // REQUIRES: the board outlives it; there were SignalHandlers.
  explicit LogFollower(const board::Board& board);

  // Does what was asked since the last look; costs next to nothing when that is nothing. Until then lines go
  // to the file that was open, under whatever name it has by now.
  void look();

 private:
  void follow() const;

  const board::Header& header_;
  std::uint32_t epoch_;  // the last that was followed
  int requests_;
};

}  // namespace postpone::subworker
