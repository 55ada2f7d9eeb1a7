// Permits: how they are taken, freed, and handed on without a lock.
//
// No sub-worker sleeps while a permit is free, though the giver and the waiter look at two different words:
//
//   waiter                                    giver
//   W1  own state = waiting_for_permit        G1  owner of the cell = 0
//   W2  looks through the cells again         G2  looks through the states
//   W3  waits at its doorbell                 G3  rings one that waits
//
// All four accesses are sequentially consistent, so there is one order of them on which all processes agree.
// If W1 comes before G2, the giver sees the waiter and rings. If not, G1 comes before W2, and the waiter sees
// the free cell. The same argument holds between a sub-worker that begins to wait (W1, then
// ask_idle_holder_for_permit()) and a holder that turns idle (state = idle, then someone_waits_for_permit()).
//
// A giver passes over waiters that are rung for a permit already: they will look anyway, and of two permits
// freed at once the second would otherwise ring the same waiter twice. A waiter that dies before it answers
// its ring is healed by reclaim_permits(), which rings one more.
#include <algorithm>
#include <utility>

#include "board/layout.h"
#include "board/permit_cell.h"

namespace postpone::board {

namespace {

bool waits_for_permit(const Slot& slot) {
  return slot.state.load(std::memory_order_seq_cst) == SlotState::waiting_for_permit;
}

bool is_idle_holder(const Slot& slot) {
  return slot.state.load(std::memory_order_seq_cst) == SlotState::idle &&
         slot.holds_permit.load(std::memory_order_seq_cst) != 0;
}

// Rings the slot that has been for the longest time in the state asked for and is not rung for a permit yet.
void ring_longest(const Board& board, bool (*in_state)(const Slot&)) {
  Slot* longest = nullptr;
  std::int64_t longest_since = 0;
  for (std::uint32_t i = 0; i < slots_in_use(board); ++i) {
    Slot& slot = board.slot(i);
    if (!in_state(slot) || slot.doorbell.is_rung_for(kRungForPermit)) continue;
    const std::int64_t since = slot.since_ns.load(std::memory_order_relaxed);
    if (longest != nullptr && since >= longest_since) continue;
    longest = &slot;
    longest_since = since;
  }
  if (longest != nullptr) longest->doorbell.ring(kRungForPermit);
}

}  // namespace

std::optional<Permit> Permit::try_take(const Board& board, std::uint32_t slot, std::uint32_t generation) {
  const std::uint64_t owner = tag_of(slot, generation);
  for (std::uint32_t i = 0; i < permits_in_use(board); ++i) {
    if (!take(board.permit(i), owner)) continue;
    board.slot(slot).holds_permit.store(1, std::memory_order_seq_cst);
    return Permit(board, i, owner);
  }
  return std::nullopt;
}

Permit::Permit(Permit&& other) noexcept
    : board_(std::exchange(other.board_, nullptr)), cell_(other.cell_), owner_(other.owner_) {}

Permit& Permit::operator=(Permit&& other) noexcept {
  if (this == &other) return *this;
  give_back();
  board_ = std::exchange(other.board_, nullptr);
  cell_ = other.cell_;
  owner_ = other.owner_;
  return *this;
}

Permit::~Permit() {
  give_back();
}

bool Permit::is_surplus() const {
  return cell_ >= permits_in_use(*board_);
}

void Permit::give_back() noexcept {
  if (board_ == nullptr) return;
  board_->slot(slot_of(owner_)).holds_permit.store(0, std::memory_order_seq_cst);
  free(board_->permit(cell_), owner_);
  ring_longest(*board_, waits_for_permit);
}

int reclaim_permits(const Board& board, std::uint32_t slot, std::uint32_t generation) {
  const std::uint64_t owner = tag_of(slot, generation);
  int freed = 0;
  for (std::uint32_t i = 0; i < kMaxSlots; ++i) freed += free(board.permit(i), owner) ? 1 : 0;
  for (int rings = 0; rings < std::max(freed, 1); ++rings) ring_longest(board, waits_for_permit);
  return freed;
}

bool someone_waits_for_permit(const Board& board) {
  for (std::uint32_t i = 0; i < slots_in_use(board); ++i) {
    if (waits_for_permit(board.slot(i))) return true;
  }
  return false;
}

std::chrono::nanoseconds longest_wait_for_permit(const Board& board) {
  std::int64_t longest = 0;
  const std::int64_t now = now_ns();
  for (std::uint32_t i = 0; i < slots_in_use(board); ++i) {
    const Slot& slot = board.slot(i);
    if (waits_for_permit(slot)) longest = std::max(longest, now - slot.since_ns.load());
  }
  return std::chrono::nanoseconds(longest);
}

void ask_idle_holder_for_permit(const Board& board) {
  ring_longest(board, is_idle_holder);
}

// A sub-worker that takes a surplus permit at this moment, by the number as it was, is not rung: it checks
// whether its permit is surplus each time that it turns idle.
void ring_for_changed_permits(const Board& board) {
  for (std::uint32_t i = permits_in_use(board); i < kMaxSlots; ++i)
    if (const std::uint64_t owner = board.permit(i).owner.load(); owner != 0 && slot_of(owner) < kMaxSlots)
      board.slot(slot_of(owner)).doorbell.ring(kRungForPermit);
  for (std::uint32_t i = 0; i < slots_in_use(board); ++i)
    if (waits_for_permit(board.slot(i))) board.slot(i).doorbell.ring(kRungForPermit);
}

}  // namespace postpone::board
