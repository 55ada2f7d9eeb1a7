// A sub-worker's share of the family's connections: a permit of the board, and the connection that it allows.
// Where there are fewer permits than sub-workers, they wait for each other here, and lend.
#pragma once

#include <functional>
#include <optional>

#include "board/board.h"
#include "sql/job_manager.h"
#include "subworker/worker/identity.h"

namespace postpone::subworker {

class PooledConnection {
 public:
  using Connect = std::function<sql::JobManager()>;  // throws sql::DatabaseError
  struct Hooks {
    std::function<void()> on_tick;               // at least twice a second, while it waits
    std::function<bool(bool pending)> gives_up;  // see Session::Hooks
  };

  // `board` must outlive it.
  PooledConnection(const board::Board& board, const Identity& identity, Connect connect, Hooks hooks);

  // Waits for a permit, unless it has one. False when the hook gives up. `pending` is handed to the hook.
  bool take_permit(bool pending);
  // Takes one, if there is one at this moment. False when there is none.
  bool try_permit();
  // The connection, opened if it is not. Throws sql::DatabaseError. REQUIRES: a permit.
  sql::JobManager& open();
  // Gives connection and permit away, to a sub-worker that waits for one.
  void give_up();
  // With fewer permits than sub-workers, short jobs would keep a connection for ever. If one waits for long, and ours was
  // used for a while, gives it away, and lets the other take the permit before we ask for it again.
  void be_fair();

  bool is_connected() const { return manager_.has_value(); }
  // Is it one too many, because there are fewer permits by now?
  bool is_surplus() const { return permit_ && permit_->is_surplus(); }

 private:
  const board::Board& board_;
  board::Slot& slot_;
  const std::uint32_t index_;  // of the slot
  const std::uint32_t generation_;
  const Connect connect_;
  const Hooks hooks_;
  std::optional<board::Permit> permit_;
  board::Clock::time_point permit_since_{};
  std::optional<sql::JobManager> manager_;
};

}  // namespace postpone::subworker
