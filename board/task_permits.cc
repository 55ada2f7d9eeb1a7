// How task permits are taken, freed and handed on without a lock.
//
// A task with a limit of N has the cells 0 … N-1: there are no more holders than cells. No sub-worker is left asleep while
// a permit is free and a job waits for it, for the reason that permit.cc gives:
//
//   waiter                                     giver
//   W1  notes on its slot that it wants one    G1  owner of the cell = 0
//   W2  looks through the cells again          G2  looks through the slots
//   W3  fetches without the task, then rests   G3  rings one of each group that wants one
//
// A ring that comes between W1 and W3 stays at the doorbell, and has it look again. One of each group, since the giver
// does not know which queues have such jobs: who was rung and has found one of another task rings a sibling (the chain).
//
// A lower limit leaves holders in cells beyond it. As long as there are some, a permit is free only if fewer are held in all,
// and who has taken one counts again. Two that do so at the same moment may both step back: each rings the other.
#include "board/task_permits.h"

#include <algorithm>
#include <vector>

#include "board/layout.h"
#include "board/permit_cell.h"
#include "board/wake.h"
#include "sys/crash_point.h"

namespace postpone::board {

namespace {

constexpr std::uint32_t kBitsOfWord = 64;

std::uint32_t cells_used(const TaskLimit& task) {
  return std::min(task.cells_used.load(), kMaxSlots);
}

std::uint32_t held_between(const TaskLimit& task, std::uint32_t from, std::uint32_t to) {
  std::uint32_t held = 0;
  for (std::uint32_t i = from; i < to; ++i) held += is_held(task.cells[i]) ? 1 : 0;
  return held;
}

// Before a cell is taken: whoever reclaims looks no further.
void use_cells(TaskLimit& task, std::uint32_t count) {
  std::uint32_t used = task.cells_used.load();
  while (used < count && !task.cells_used.compare_exchange_weak(used, count)) continue;
}

void ring_one_of_each_group(const Board& board, std::uint32_t entry) {
  std::vector<SlotView> wanting;
  for (const SlotView& view : view(board))
    if (view.group != kNoGroup && wants_task(board.slot(view.slot), entry)) wanting.push_back(view);
  std::vector<GroupId> groups;
  for (const SlotView& view : wanting)
    if (std::ranges::find(groups, view.group) == groups.end()) groups.push_back(view.group);
  for (const GroupId& group : groups)
    for (const std::uint32_t slot : choose(wanting, std::span(&group, 1), 1))
      board.slot(slot).doorbell.ring(kRungForWork);
}

// For a task that has none: best one that nobody uses any more. Who holds a permit of the former task there counts
// against the new one for a while, which lets none too many run.
std::uint32_t entry_for_another_task(const Board& board) {
  const std::uint32_t in_use = task_limits_in_use(board);
  std::uint32_t found = kMaxLimitedTasks;
  for (std::uint32_t i = 0; i < in_use; ++i) {
    if (limit_of(board.task_limit(i)) != 0) continue;
    if (permits_held(board.task_limit(i)) == 0) return i;
    found = i;
  }
  return in_use < kMaxLimitedTasks ? in_use : found;
}

}  // namespace

TaskId task_id(std::string_view name) {
  return std::max<TaskId>(group_id(name), 1);
}

std::optional<std::uint32_t> find_task_limit(const Board& board, std::string_view task) {
  const TaskId id = task_id(task);
  for (std::uint32_t i = 0; i < task_limits_in_use(board); ++i)
    if (board.task_limit(i).task.load() == id) return i;
  return std::nullopt;
}

std::uint32_t task_limits_in_use(const Board& board) {
  return std::min(board.header().task_limits.load(), kMaxLimitedTasks);
}

std::uint32_t limit_of(const TaskLimit& task) {
  return std::min(task.limit.load(), kMaxSlots);
}

std::uint32_t permits_held(const TaskLimit& task) {
  return held_between(task, 0, cells_used(task));
}

bool is_full(const TaskLimit& task) {
  const std::uint32_t limit = limit_of(task);
  if (limit == 0) return false;
  const std::uint32_t used = cells_used(task);
  if (used < limit) return false;
  const std::uint32_t surplus = held_between(task, limit, used);
  if (surplus > 0) return surplus + held_between(task, 0, limit) >= limit;
  return std::all_of(task.cells, task.cells + limit, is_held);
}

// Mostly no cell beyond the limit was ever taken, and nothing is counted.
bool is_overbooked(const TaskLimit& task) {
  const std::uint32_t limit = limit_of(task);
  const std::uint32_t used = cells_used(task);
  return limit != 0 && used > limit && held_between(task, limit, used) > 0 &&
         held_between(task, 0, used) > limit;
}

// The tasks without a limit first: their entries may be needed.
void set_task_limits(const Board& board, std::span<const LimitedTask> tasks) {
  for (std::uint32_t i = 0; i < task_limits_in_use(board); ++i) {
    TaskLimit& entry = board.task_limit(i);
    const bool stays = std::ranges::any_of(
        tasks, [&](const LimitedTask& task) { return task_id(task.name) == entry.task.load(); });
    if (!stays) entry.limit.store(0);
  }
  for (const LimitedTask& task : tasks) {
    const std::uint32_t index = find_task_limit(board, task.name).value_or(entry_for_another_task(board));
    if (index >= kMaxLimitedTasks) continue;
    TaskLimit& entry = board.task_limit(index);
    entry.task.store(task_id(task.name));
    entry.limit.store(std::min(task.limit, kMaxSlots));
    if (index >= task_limits_in_use(board)) board.header().task_limits.store(index + 1);
  }
  ++board.header().task_limits_epoch;
  for (std::uint32_t i = 0; i < slots_in_use(board); ++i) {
    Slot& slot = board.slot(i);
    if (std::ranges::any_of(slot.wanted_tasks, [](const auto& word) { return word.load() != 0; }))
      slot.doorbell.ring(kRungForWork);
  }
}

std::optional<TaskPermit> try_take_task_permit(const Board& board, std::uint32_t entry, PermitHolder holder) {
  TaskLimit& task = board.task_limit(entry);
  const std::uint32_t limit = limit_of(task);
  if (limit == 0 || is_full(task)) return std::nullopt;
  const std::uint64_t owner = tag_of(holder.slot, holder.generation);
  use_cells(task, limit);
  for (std::uint32_t i = 0; i < limit; ++i) {
    if (!take(task.cells[i], owner)) continue;
    const TaskPermit permit{entry, i};
    if (is_surplus(board, permit) || is_overbooked(task)) {
      give_back(board, permit, holder);
      return std::nullopt;
    }
    sys::crash_point("sub_worker.task_permit_taken");
    return permit;
  }
  return std::nullopt;
}

TaskPermit take_task_permit_anyway(const Board& board, std::uint32_t entry, PermitHolder holder) {
  TaskLimit& task = board.task_limit(entry);
  const std::uint64_t owner = tag_of(holder.slot, holder.generation);
  for (std::uint32_t i = 0; i < kMaxSlots; ++i) {
    use_cells(task, i + 1);
    if (take(task.cells[i], owner)) return {entry, i};
  }
  throw Damaged("the permits of a task");  // there are as many cells as slots
}

bool is_surplus(const Board& board, TaskPermit permit) {
  const std::uint32_t limit = limit_of(board.task_limit(permit.entry));
  return limit != 0 && permit.cell >= limit;
}

// One that runs a job is not rung, and does not count either: it looks when the job has ended.
bool is_wanted_by_another_group(const Board& board, std::uint32_t entry, GroupId group) {
  return std::ranges::any_of(view(board), [&](const SlotView& view) {
    const bool looks_when_rung = view.state == SlotState::idle || view.state == SlotState::looking;
    return view.group != kNoGroup && view.group != group && looks_when_rung &&
           wants_task(board.slot(view.slot), entry);
  });
}

void give_back(const Board& board, TaskPermit permit, PermitHolder holder) {
  free(board.task_limit(permit.entry).cells[permit.cell], tag_of(holder.slot, holder.generation));
  sys::crash_point("sub_worker.task_permit_freed");
  ring_one_of_each_group(board, permit.entry);
}

// Who has died may have been rung for a permit that is free, and has not looked.
int reclaim_task_permits(const Board& board, std::uint32_t slot, std::uint32_t generation) {
  const std::uint64_t owner = tag_of(slot, generation);
  int freed = 0;
  for (std::uint32_t i = 0; i < task_limits_in_use(board); ++i) {
    TaskLimit& task = board.task_limit(i);
    int freed_of_task = 0;
    const std::uint32_t used = cells_used(task);
    for (std::uint32_t cell = 0; cell < used; ++cell) freed_of_task += free(task.cells[cell], owner) ? 1 : 0;
    if (freed_of_task > 0 || wants_task(board.slot(slot), i)) ring_one_of_each_group(board, i);
    freed += freed_of_task;
  }
  return freed;
}

void want_task(Slot& slot, std::uint32_t entry, bool wants) noexcept {
  std::atomic<std::uint64_t>& word = slot.wanted_tasks[entry / kBitsOfWord];
  const std::uint64_t bit = std::uint64_t{1} << (entry % kBitsOfWord);
  const std::uint64_t was = word.load();
  const std::uint64_t is = wants ? was | bit : was & ~bit;
  if (is != was) word.store(is);
}

bool wants_task(const Slot& slot, std::uint32_t entry) noexcept {
  return (slot.wanted_tasks[entry / kBitsOfWord].load() >> (entry % kBitsOfWord) & 1) != 0;
}

}  // namespace postpone::board
