// The crew: which members exist, and which are to exist. It starts, hears, kills, replaces and buries the
// members of the family, and gives them their commands through the board.
//
// The crew knows from its own children (pid, pidfd, leash) which members exist, and never from the board.
//
// Crash of a sub-worker: its pidfd becomes readable. It is reaped; what it had started is killed and reaped;
// only then is its lease buried and are its permits freed (burials.h), and its slot is given to the next
// incarnation.
//
// Everything is level-triggered: after every event upkeep() walks a short list of "if X should be and is not,
// try", so that a failed fork heals at the next tick.
//
//   children      the processes, and how they speak and end      roster    when to start and kill them
//   slots         which slot serves which group                  burials   what follows a death
//   arrangement   which should, and who is replaced              cgroups   what task processes live in
//   spawn         how a member is started
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "board/board.h"
#include "config/config.h"
#include "supervisor/crew/arrangement.h"
#include "supervisor/crew/burials.h"
#include "supervisor/crew/cgroups.h"
#include "supervisor/crew/children.h"
#include "supervisor/crew/observer.h"
#include "supervisor/crew/roster.h"
#include "supervisor/crew/slots.h"
#include "supervisor/crew/spawn.h"
#include "supervisor/crew/standing.h"
#include "supervisor/loop.h"

namespace postpone::supervisor {

class Crew {
 public:
  struct Handlers {
    std::function<void(std::string reason)> on_reason;      // of the preflight
    std::function<void(board::LimitedTask task)> on_limit;  // of the preflight: what it has read
    std::function<void(const sys::ExitReport& report)> on_preflight_end;
    std::function<void()> on_change;  // a member has spoken or ended: upkeep is due
    // A sub-worker of this group was rung for work, and died before it looked. Another one must be rung, or the
    // job is left until the next poll.
    std::function<void(board::GroupId group)> on_unanswered_ring;
  };

  // `config` is the configuration in force: it changes before take(). All must outlive the crew. Nothing is
  // started yet.
  Crew(Loop& loop, board::Board& board, const config::Config& config, Family family, Handlers handlers);

  // Throws std::system_error.
  void take_in_orphans() { burials_.take_in_orphans(); }
  void set_observer(CrewObserver* observer) { observer_ = observer; }

  // The preflight: of the configuration in force, and of one that may come into force. Each throws when no
  // process can be had.
  void start_preflight();
  void start_check(int config_fd);
  void stop_preflight() { children_.signal(kPreflight, SIGTERM); }
  // It ended badly: what it was asking may live on.
  void note_leftovers() { burials_.note_leftovers(); }

  // From the end of the first preflight on, after every event.
  void upkeep();
  // When upkeep() is due at the latest; nothing when nothing is waited for.
  std::optional<Clock::time_point> next_upkeep() const;
  // This process was not running for a while: no member's silence before now counts.
  void note_frozen() { roster_.thawed(Clock::now()); }

  // A changed configuration is in force: first what members that start from now on will read; then which of
  // the living are outdated, which slot serves which group, and whether the housekeeper is replaced.
  void set_config_fd(int config_fd) { family_.config_fd = config_fd; }
  void take(const Outdated& outdated);

  // Nothing is fetched until pause(false).
  void pause(bool paused);
  bool is_paused() const { return paused_; }

  // All end: drain or stop_now. The housekeeper goes last. By stop_by() those that still live are killed.
  void drain(board::Command command);
  // At each upkeep: lets the housekeeper go when the others are gone, and kills the overdue. True when all
  // are gone.
  bool finish_draining();
  Clock::time_point stop_by() const { return stop_by_; }

  // At once, without a burial: the board cannot be trusted.
  void kill_all();
  // Kills and reaps what is not a child of ours.
  void kill_orphans();

  // How it stands.
  Standing standing() const { return judge_standing(config_, roster_, slots_); }
  const Slots& slots() const { return slots_; }
  const Roster& roster() const { return roster_; }
  std::uint32_t living_sub_workers() const;
  bool lives(MemberId member) const { return children_.lives(member); }
  // Is the crew at rest: every wanted sub-worker is either ready, idle and not rung, or has failed to start
  // too often, and every death is buried? Nothing = no.
  struct Idleness {
    MemberId given_up = 0;  // sub-workers that have failed to start too often
  };
  std::optional<Idleness> idleness() const;

 private:
  void adopt(MemberId member, Spawned spawned, std::uint32_t generation = 1);
  void on_message(MemberId member, const board::LeashMessage& message);
  void on_end(MemberId member, const Children::End& end);
  void on_buried(const Burial& burial);
  bool is_forgiven(MemberId member, bool ended_well) const;
  Roster::End end_of(MemberId member, const sys::ExitReport& report) const;

  void start_missing();
  void start_housekeeper();
  void start_sub_worker(std::uint32_t slot);
  void kill_overdue();

  void arrange_slots();
  void engage(std::uint32_t slot, const std::string& group);
  void mark(const Outdated& outdated);
  void replace_outdated();
  void replace_housekeeper();
  void command_all(board::Command command);

  bool is_busy(std::uint32_t slot) const;
  std::string name_of(MemberId member) const;
  MemberName who(MemberId member) const;
  Clock::time_point last_beat(MemberId member) const;

  board::Board& board_;
  const config::Config& config_;
  Family family_;
  const Handlers handlers_;
  TaskCgroups cgroups_;
  Roster roster_;
  Slots slots_;
  Children children_;
  Burials burials_;
  int waiting_ = 0;  // sub-workers for which there is no slot yet
  bool paused_ = false;
  bool draining_ = false;
  Clock::time_point stop_by_;
  CrewObserver* observer_ = nullptr;  // none: without [status] socket
};

}  // namespace postpone::supervisor
