// Burials: what follows a member's death, in this order, and no step before the one in front of it is done.
//
//   1. everything that the dead member had started is killed and reaped (we are its subreaper)
//   2. what its slot held is copied into a grave, and the housekeeper is rung to rescue it
//   3. its permits are free, and its place in the crew is empty
//
// So no lock is free in the database while a task that held it lives. A step that cannot be done yet is tried
// again: when a process that took a moment to die is dead, and after next() in any case (no grave is free, or
// the kernel keeps a process that nothing can kill).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "board/board.h"
#include "supervisor/crew/cgroups.h"
#include "supervisor/crew/children.h"
#include "supervisor/crew/member.h"
#include "supervisor/crew/roster.h"
#include "supervisor/crew/slots.h"
#include "supervisor/loop.h"
#include "sys/backoff.h"

namespace postpone::supervisor {

struct Burial {
  MemberId member = 0;
  std::int64_t lease = 0;  // 0 = it held none, and ran no job
  std::uint32_t generation = 0;
  Roster::End end = Roster::End::failed;
};

class Burials {
 public:
  // `on_orphan_end`: a process for whose death a burial waits is dead, and finish() is worth a try. All must
  // outlive it.
  Burials(Loop& loop, board::Board& board, const Slots& slots, const TaskCgroups& cgroups,
          const Children& children, std::function<void()> on_orphan_end);

  // From now on orphans come to this process, and are killed. Those that it has already, children of the
  // program that it was before its exec, are strangers, and are left alone. Throws std::system_error.
  void take_in_orphans();

  // A member has ended and was reaped.
  void add(const Burial& burial);
  // A preflight has ended badly: what it was asking may live on, and is killed by finish().
  void note_leftovers();

  // Takes each burial as far as it can be taken now, and calls `buried` behind the last step of each. Worth a call
  // whenever something has changed: next() does not move away for a try that came before its time.
  void finish(Clock::time_point now, const std::function<void(const Burial&)>& buried);

  bool none() const { return burials_.empty(); }
  bool is_open(MemberId member) const;
  const std::vector<Burial>& open() const { return burials_; }
  // When finish() is worth a try again; nothing when all is done.
  std::optional<Clock::time_point> next() const;

  // Kills and reaps all that is no child of ours, for at most `limit`. False when some of it lives on for
  // now, or cannot be found out.
  bool kill_orphans(std::chrono::milliseconds limit = {});
  // Reaps the dead of strangers: as the reaper of orphans, or as the first process of a container, this
  // process is handed those, too.
  void reap_strangers();

 private:
  bool look(const std::function<void()>& look_at_children);
  std::optional<std::vector<pid_t>> kill_and_list_orphans(std::chrono::milliseconds limit);
  void await_ends(const std::vector<pid_t>& orphans);
  void begin_anew();

  Loop& loop_;
  board::Board& board_;
  const Slots& slots_;
  const TaskCgroups& cgroups_;
  const Children& children_;
  const std::function<void()> on_orphan_end_;
  std::vector<pid_t> strangers_;
  std::vector<Burial> burials_;
  bool leftovers_ = false;
  int tries_ = 0;            // in a row that have ended no burial
  std::vector<Watch> ends_;  // of orphans that were sent SIGKILL and do not die at once
  sys::Backoff pause_;
  Clock::time_point next_;
  std::string trouble_;  // why children cannot be looked for, as the log has it
};

}  // namespace postpone::supervisor
