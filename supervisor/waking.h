// Which members are woken, and when: it hears the LISTEN connection, and rings sub-workers and the
// housekeeper.
//
// A notification names a queue and how many jobs became ready there: as many idle sub-workers are rung
// (board/wake.h). After each new LISTEN all members are rung once, since what was notified meanwhile is lost.
#pragma once

#include <functional>
#include <optional>

#include "board/board.h"
#include "config/config.h"
#include "supervisor/listening.h"
#include "supervisor/loop.h"

namespace postpone::supervisor {

class Waking {
 public:
  // `config` is the configuration in force, and may change before listen(). `on_connecting`: see Listening.
  // All must outlive it.
  Waking(Loop& loop, const board::Board& board, const config::Config& config,
         std::function<void()> on_connecting);

  // Begins to listen, if the configuration wants that; anew, when a connection listens already (to other
  // queues, perhaps).
  void listen();
  // How the connection stands; nothing while there is none.
  std::optional<Listening::Facts> facts() const;

 private:
  sql::ListenOptions options() const;
  void on_notification(const sql::Notification& notification);

  Loop& loop_;
  const board::Board& board_;
  const config::Config& config_;
  const std::function<void()> on_connecting_;
  std::optional<Listening> listening_;
};

}  // namespace postpone::supervisor
