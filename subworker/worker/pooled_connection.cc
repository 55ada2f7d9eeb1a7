#include "subworker/worker/pooled_connection.h"

#include <chrono>
#include <utility>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

constexpr auto kPermitSlice = 200ms;
// A new connection costs some 5 ms, and plans for each statement: it is used for a while before it is handed over.
constexpr auto kFairWait = 100ms;
constexpr auto kHandOver = 20ms;

}  // namespace

PooledConnection::PooledConnection(const board::Board& board, const Identity& identity, Connect connect,
                                   Hooks hooks)
    : board_(board),
      slot_(board.slot(identity.slot)),
      index_(identity.slot),
      generation_(identity.generation),
      connect_(std::move(connect)),
      hooks_(std::move(hooks)) {}

bool PooledConnection::try_permit() {
  if (permit_) return true;
  permit_ = board::Permit::try_take(board_, index_, generation_);
  permit_since_ = board::Clock::now();
  return permit_.has_value();
}

bool PooledConnection::take_permit(bool pending) {
  if (is_surplus()) give_up();
  while (!try_permit()) {
    // Say that we wait before the last try: a sub-worker that frees a permit after it sees us then.
    if (slot_.state.load() != board::SlotState::waiting_for_permit)
      slot_.enter(board::SlotState::waiting_for_permit);  // once: how long we have waited counts
    if (try_permit()) break;
    board::ask_idle_holder_for_permit(board_);
    slot_.doorbell.wait(kPermitSlice);
    slot_.doorbell.answer();
    hooks_.on_tick();
    // The permit that we were rung for, perhaps: try before giving up, so that it is not left lying.
    if (!try_permit() && hooks_.gives_up(pending)) return false;
  }
  return true;
}

sql::JobManager& PooledConnection::open() {
  if (!manager_) manager_.emplace(connect_());
  return *manager_;
}

void PooledConnection::give_up() {
  slot_.warm.store(0);
  manager_.reset();
  permit_.reset();
}

void PooledConnection::be_fair() {
  if (!permit_ || board::Clock::now() - permit_since_ < kFairWait) return;
  if (board::longest_wait_for_permit(board_) < kFairWait) return;
  give_up();
  slot_.enter(board::SlotState::waiting_for_permit);
  slot_.doorbell.wait(kHandOver);
  slot_.doorbell.answer();
}

}  // namespace postpone::subworker
