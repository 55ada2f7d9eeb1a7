// The supervisor: one process, one thread, one event loop. It listens, wakes, spawns, buries and tells, and
// is meant to be the most boring process of the family.
//
// What it deliberately never does: run SQL (but LISTEN and its probe), wait for anything but the event loop,
// take a lock in shared memory, or believe the board about who exists. That it knows from its own children:
// pid, pidfd, leash.
//
// Start-up: a preflight process checks task executables and schema, and waits for the database; nothing else
// is started before it ended well. Then sub-workers, housekeeper and the LISTEN connection, side by side.
//
// Wake-up: a notification names a queue and how many jobs; as many idle sub-workers are rung (board/wake.h).
// After every new LISTEN everybody is rung once, since what was notified meanwhile is lost.
//
// Crash of a sub-worker: its pidfd becomes readable. In this order: reap it; kill and reap what it had
// started (we are its subreaper); only then free its permits and bury it, which rings the housekeeper to
// rescue its jobs: no lock is free while a task that held it lives. Then the slot is given to the next
// incarnation.
//
// Reload: SIGHUP (reloading.cc). Whoever is no longer wanted, or has an old configuration, finishes its job
// and leaves; what is to be decided is decided in reload.h.
//
// Shutdown: SIGTERM or SIGINT tells all to drain; each sub-worker counts the grace itself. A second signal
// means now. The housekeeper goes last.
//
// Upkeep is level-triggered: after every event a short list of "if X should be and is not, try" is walked
// (upkeep()), so that a failed fork heals at the next tick.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "board/board.h"
#include "board/family.h"
#include "config/config.h"
#include "supervisor/crew/cgroups.h"
#include "supervisor/crew/roster.h"
#include "supervisor/crew/spawn.h"
#include "supervisor/listening.h"
#include "supervisor/loop.h"
#include "supervisor/reload/change.h"
#include "supervisor/service_notifier.h"
#include "supervisor/status/desk.h"
#include "sys/backoff.h"
#include "sys/file_stamp.h"
#include "sys/log.h"
#include "sys/service_manager.h"

namespace postpone::supervisor {

// How the program ends. Documented in docs/cli.md.
enum class Exit : int { ok = 0, failure = 1, usage = 2, configuration = 3, schema = 5 };

struct Options {
  std::string config_path;
  std::string config_directory;  // what its paths are relative to
  std::string config_text;       // as it was read and checked
  config::Overrides overrides;
  bool one_shot = false;  // work off what is there, then exit
  sys::ServiceManager service_manager = {};
};

// What keeps a configuration that is right by itself from being taken here, one line each: the database's
// urls, and how many descriptors this process may open.
std::vector<std::string> faults_of(const config::Config& config);

// How the family logs.
sys::LogOptions log_options(const config::Log& log);

class Supervisor {
 public:
  // Throws std::system_error when memory or descriptors cannot be had.
  Supervisor(config::Config config, Options options);
  ~Supervisor();

  // Runs until told to stop.
  Exit run();

 private:
  struct Child;
  struct Burial {
    MemberId member;
    std::int64_t lease;
    std::uint32_t generation;
    Roster::End end;
  };
  // What is known of who sits in a slot, besides what the roster knows.
  struct Tenure {
    std::string group;      // its name, for people: the group may be gone
    bool outdated = false;  // was started with a configuration that has changed since
    bool told = false;      // to leave when its job has ended
    Clock::time_point told_at = {};
    std::chrono::milliseconds grace{0};  // how long it takes to drain at most, by its own configuration
    std::chrono::milliseconds abort_grace{0};
  };
  // A new configuration while its task executables and the schema are checked.
  struct Pending {
    config::Config config;
    std::string text;
    sys::Fd memfd;
    Change change;
    std::string fixed;  // what cannot change, for people; empty = nothing of it was to
    std::map<std::string, sys::FileStamp> stamps;
    std::string reason;  // why it cannot be taken: the first of …
    int reasons = 0;     // … so many
  };
  enum class Phase { preflight, working, draining };

  // Children.
  void adopt(MemberId member, Spawned spawned, std::uint32_t generation = 1);
  void await_end(Child& child);
  void await_words(Child& child);
  void hear(Child& child);
  void hear_reasons(Child& child);
  void on_end(MemberId member);
  void on_preflight_end(const sys::ExitReport& report);
  void bury(const Burial& burial);
  std::vector<pid_t> not_orphans() const;

  // Upkeep.
  void upkeep();
  bool board_is_sound();
  void kill_orphans_of_all();
  void spawn_missing();
  void kill_overdue();
  void finish_burials();
  void reap_strangers();
  bool kill_orphans(std::chrono::milliseconds limit = {});
  void check_one_shot();
  void check_drained();
  void set_timer();

  // Posts: which slot belongs to which group.
  void arrange_posts();
  void engage(std::uint32_t slot, std::uint32_t group);
  void dismiss(std::uint32_t slot);
  void tell_to_leave(std::uint32_t slot);
  bool is_busy(std::uint32_t slot) const;
  bool is_forgiven(MemberId member, bool ended_well) const;
  Roster::End end_of(MemberId member, const sys::ExitReport& report) const;

  // Reloading (reloading.cc).
  void on_reload_signal();
  void begin_reload();
  void prepare(config::Config next, std::string text);
  void on_reload_checked(const sys::ExitReport& report);
  void take_over(Pending pending);
  void rename_groups(const config::Config& former);
  void mark_outdated(const Change& change);
  void replace_housekeeper();
  void replace_outdated();
  void end_reload(bool ok, const std::string& message);

  // Waking.
  void start_working();
  void listen();
  void on_notification(const sql::Notification& notification);
  void ring_everybody(std::uint32_t reasons);
  bool everybody_idle() const;

  // Signals.
  void on_signal(int signal_number);
  void drain(board::Command command);
  void command_all(board::Command command);
  void stop_preflight();

  // Behind all slots that there may ever be, since there may be more tomorrow.
  static RosterPolicy policy_of(const config::Supervisor& s);
  static constexpr MemberId housekeeper() { return board::kMaxSlots; }
  static constexpr MemberId preflight() { return board::kMaxSlots + 1; }
  std::string name_of(MemberId member) const;
  Clock::time_point last_beat(MemberId member) const;
  void note_degraded();
  void open_desk();
  status::Desk::Who who(MemberId member) const;
  status::Starting starting(MemberId member) const;
  status::Known known() const;
  bool can_run_jobs() const;
  std::string words() const;
  void show();

  const Options options_;
  config::Config config_;
  std::string config_text_;
  const bool one_shot_;
  std::uint32_t slots_;  // that were ever in use, 0 … slots_-1: some may be vacant by now
  Loop loop_;
  Timer timer_;
  ServiceNotifier service_;
  TaskCgroups task_cgroups_;
  board::Board board_;
  sys::Fd config_memfd_;
  Family family_;
  Roster roster_;
  sys::Backoff burial_pause_;
  Clock::time_point next_burial_;        // when it is looked again whether what the dead left is dead
  std::string orphan_trouble_;           // why that cannot be seen, as the log has it
  std::vector<std::uint32_t> group_of_;  // by slot; board::kNoGroup = none
  std::vector<Tenure> tenures_;          // by slot
  int waiting_posts_ = 0;                // sub-workers for which there is no slot yet
  std::vector<std::unique_ptr<Child>> children_;  // by member; the preflight last
  std::vector<pid_t> strangers_;  // children of whoever was this process before its exec: none of ours
  bool leftovers_ = false;        // of a check that ended badly, what it was asking, may live on
  std::vector<Burial> burials_;   // reaped, what they left behind is not dead yet or not buried
  std::optional<Listening> listening_;
  std::map<std::string, sys::FileStamp> stamps_;  // of the task executables that are known to be good
  std::optional<Pending> pending_;
  bool reload_again_ = false;  // was asked for while a reload, or the start, was going on
  Phase phase_ = Phase::preflight;
  bool paused_ = false;
  bool was_ready_ = false;  // jobs could be run, at least once
  MemberId failing_ = 0;    // members that do not get ready, as the log has it
  Clock::time_point last_upkeep_ = Clock::now();
  const Clock::time_point started_ = Clock::now();
  const std::int64_t started_unix_ns_ = status::unix_now_ns();
  std::optional<status::Reload> last_reload_;
  std::optional<status::Trouble> preflight_trouble_;  // that it waits for, before the family works
  Exit exit_ = Exit::ok;
  Clock::time_point drain_limit_;                   // when whoever still lives is killed
  std::optional<std::uint64_t> fetched_when_idle_;  // --one-shot: the count when everybody was idle last
  std::optional<status::Desk> desk_;                // with [status] socket
};

}  // namespace postpone::supervisor
