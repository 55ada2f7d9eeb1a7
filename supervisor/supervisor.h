// The supervisor: one process, one thread, one event loop. It listens, wakes, starts, buries and reports, and
// is meant to be the most boring process of the family.
//
// What it deliberately never does: run SQL (but LISTEN and its probe), wait for anything but the event loop,
// take a lock in shared memory, or believe the board about which processes exist.
//
// This class only joins the parts. They reach each other through it alone, but for plain values:
//
//   crew/        which members exist: starts, kills, replaces and buries them
//   waking       the LISTEN connection, and which members are rung for what it says
//   reload/      a changed configuration: read, checked, taken into force
//   announcer    how the family stands: log, process title, service manager, status socket (status/)
//
// Start-up: a preflight checks task executables and schema, and waits for the database; nothing else is
// started before it has ended well. Then sub-workers, housekeeper and the LISTEN connection, side by side.
//
// Reload: SIGHUP. Sub-workers that are no longer wanted, or have an old configuration, finish their jobs and
// leave.
//
// Shutdown: SIGTERM or SIGINT commands all to drain; each sub-worker counts the grace itself. A second signal
// means now. The housekeeper goes last.
//
// Upkeep is level-triggered: after every event upkeep() walks a short list of "if X should be and is not,
// try".
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "board/board.h"
#include "supervisor/announcer.h"
#include "supervisor/configuration.h"
#include "supervisor/crew/crew.h"
#include "supervisor/loop.h"
#include "supervisor/reload/reload.h"
#include "supervisor/task_limits.h"
#include "supervisor/waking.h"
#include "sys/service_manager.h"

namespace postpone::supervisor {

// How the program ends. Documented in docs/cli.md.
enum class Exit : int { ok = 0, failure = 1, usage = 2, configuration = 3, schema = 5 };

struct Options {
  ConfigurationFile file;
  bool one_shot = false;  // work off what is there, then exit
  sys::ServiceManager service_manager = {};
};

class Supervisor {
 public:
  // `configuration`: of the file, as it was read and checked. Throws std::system_error when memory or
  // descriptors cannot be had.
  Supervisor(Configuration configuration, Options options);

  // Runs until a signal, or the end of the work, stops it.
  Exit run();

 private:
  using Phase = status::Phase;

  // The preflight.
  void on_reason(std::string reason);
  void on_preflight_end(const sys::ExitReport& report);
  void start_working();

  // Upkeep.
  void upkeep();
  bool board_is_sound();
  void check_one_shot();
  void set_timer();
  void show();
  status::SupervisorFacts facts() const;

  // Reload.
  Reload::Handlers reload_handlers();
  void take(Configuration next, const Change& change);

  // Signals.
  void on_signal(int signal_number);
  void request_reload();
  void reopen_log();
  void pause(bool paused);
  void drain(board::Command command);

  const Options options_;
  Configuration in_force_;
  Loop loop_;
  Timer timer_;
  board::Board board_;
  TaskLimits task_limits_;
  const std::string name_;  // of this supervisor, in the database
  Crew crew_;
  Waking waking_;
  Reload reload_;
  Announcer announcer_;
  Phase phase_ = Phase::preflight;
  Clock::time_point last_upkeep_ = Clock::now();
  std::optional<std::uint64_t> fetched_when_idle_;  // --one-shot: the count when all were idle last
  Exit exit_ = Exit::ok;
};

}  // namespace postpone::supervisor
