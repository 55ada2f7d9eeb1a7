// Concurrency limits: of some tasks only so many jobs may run at a time under one supervisor, whichever of its groups
// run them. The right to run jobs of such a task, one at a time, is a task permit.
//
//   supervisor    says which tasks have a limit, at the start and at each reload, by what the preflight has read in the
//                 task executables; frees what the dead have held, when nothing of them lives
//   sub-worker    takes a permit before it begins a job of such a task, holds it while it has jobs of the task, and gives
//                 it back
//
// A sub-worker that finds no permit leaves the task alone and notes that on its slot (want_task()). Whoever frees a
// permit rings one such sub-worker of each group. Nobody waits for a permit, so that jobs of other tasks run meanwhile.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "board/board.h"

namespace postpone::board {

// A task's name as a number, as group_id() has it; 0 = none.
using TaskId = std::uint64_t;
TaskId task_id(std::string_view name);

// One for each task that has a limit, or had one. Written by the supervisor, but for the cells, and cells_used, which
// grows.
struct TaskLimit {
  std::atomic<TaskId> task;               // 0 = never in use
  std::atomic<std::uint32_t> limit;       // 0 = it has none any more
  std::atomic<std::uint32_t> cells_used;  // none from here on was ever taken
  PermitCell cells[kMaxSlots];
};

struct LimitedTask {
  std::string name;
  std::uint32_t limit = 0;

  bool operator==(const LimitedTask&) const = default;
};

// By the supervisor: from now on these tasks have these limits, and no other task has one. Rings whoever has left a task
// alone. REQUIRES: at most kMaxLimitedTasks, each name once, each limit above 0.
void set_task_limits(const Board& board, std::span<const LimitedTask> tasks);

// The entry of a task that has a limit, or had one.
std::optional<std::uint32_t> find_task_limit(const Board& board, std::string_view task);
// How many of the first entries are in use, whatever the header says.
std::uint32_t task_limits_in_use(const Board& board);
// How many of these jobs may run at a time; 0 = any number.
std::uint32_t limit_of(const TaskLimit& task);
// How many do, or may at any moment.
std::uint32_t permits_held(const TaskLimit& task);
// Is there no permit to be had?
bool is_full(const TaskLimit& task);
// Are more held than may be, because a limit has come or is lower? Then no holder may begin another job, whichever its cell: the
// job of the one beyond the limit may run for an hour.
bool is_overbooked(const TaskLimit& task);

// Who holds a permit: an incarnation of a slot.
struct PermitHolder {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
};

// A permit in hand: a plain value. It is not freed when the value goes: one that dies with its sub-worker is freed by
// reclaim_task_permits(), when no process of the job lives.
struct TaskPermit {
  std::uint32_t entry = 0;  // of the task
  std::uint32_t cell = 0;
};

// Nothing when none is to be had, or when the task has no limit.
std::optional<TaskPermit> try_take_task_permit(const Board& board, std::uint32_t entry, PermitHolder holder);
// For a job that runs already, while its task gets a limit: also when there are too many then.
TaskPermit take_task_permit_anyway(const Board& board, std::uint32_t entry, PermitHolder holder);
// Is it one of too many, because the limit is lower than when it was taken? Then it is to be given back before the next job.
bool is_surplus(const Board& board, TaskPermit permit);
// Does a sub-worker of another group than `group` leave the task alone, that would look at once if it were rung?
bool is_wanted_by_another_group(const Board& board, std::uint32_t entry, GroupId group);
// Frees it, and rings.
void give_back(const Board& board, TaskPermit permit, PermitHolder holder);

// By the supervisor: frees the permits of an incarnation that has ended, and of whose jobs no process lives. Returns how many.
int reclaim_task_permits(const Board& board, std::uint32_t slot, std::uint32_t generation);

// By the owner of the slot: it leaves jobs of this task alone until there is a permit, or does not any more.
void want_task(Slot& slot, std::uint32_t entry, bool wants) noexcept;
bool wants_task(const Slot& slot, std::uint32_t entry) noexcept;

}  // namespace postpone::board
