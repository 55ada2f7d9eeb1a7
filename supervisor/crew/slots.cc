#include "supervisor/crew/slots.h"

#include <memory>

namespace postpone::supervisor {

void Slots::engage(std::uint32_t slot, const std::string& group) {
  if (slot >= size()) {
    slots_.resize(slot + 1);
    ledgers_.resize(slot + 1);
    board_.header().slots.store(size());
  }
  slots_[slot] = {.group = board::group_id(group), .group_name = group};
}

std::uint32_t Slots::begin_incarnation(std::uint32_t slot, const config::Config& config,
                                       const config::Group& group) {
  ledgers_[slot] = std::make_unique<board::Ledger>(board::Ledger::create());
  SlotRecord& record = slots_[slot];
  const std::uint32_t generation = board_.reset_slot(slot, record.group);
  record = {.group = record.group,
            .group_name = group.name,
            .grace = config.supervisor.shutdown_grace,
            .abort_grace = group.abort_grace};
  return generation;
}

// The group goes first, so that wake() no longer picks this sub-worker. Rings that it does not answer any
// more are made good: all members are rung when a reload has arranged the slots.
void Slots::dismiss(std::uint32_t slot) {
  slots_[slot].group = board::kNoGroup;
  board_.slot(slot).group.store(board::kNoGroup);
  command_leave(slot);
}

void Slots::command_leave(std::uint32_t slot) {
  slots_[slot].leaving = true;
  slots_[slot].leaving_since = Clock::now();
  board::Slot& on_board = board_.slot(slot);
  on_board.command.store(board::Command::leave);
  if (on_board.generation.load() != 0) on_board.doorbell.ring(board::kRungForCommand);
}

void Slots::command_all(board::Command command) {
  const bool ends = command == board::Command::drain || command == board::Command::stop_now;
  for (std::uint32_t slot = 0; slot < size(); ++slot) {
    if (!ends && slots_[slot].leaving) continue;
    if (board_.slot(slot).generation.load() != 0) board_.slot(slot).command.store(command);
  }
}

}  // namespace postpone::supervisor
