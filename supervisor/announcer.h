// Says how the family stands, wherever people and programs look for it: in the log (degraded, and no longer),
// in the process title, to the service manager, and on the status socket, if there is one.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "board/board.h"
#include "config/config.h"
#include "supervisor/crew/observer.h"
#include "supervisor/crew/standing.h"
#include "supervisor/loop.h"
#include "supervisor/service_notifier.h"
#include "supervisor/status/collect.h"
#include "supervisor/status/endpoint.h"
#include "sys/service_manager.h"

namespace postpone::supervisor {

class Announcer {
 public:
  // `name`: of this supervisor, in the database. `look` is called for each question on the status socket;
  // what this class knows itself it adds (process, preflight_trouble). `manager` must outlive it.
  Announcer(const sys::ServiceManager& manager, const std::string& name, const std::string& config_path,
            std::function<status::SupervisorFacts()> look);

  // Opens the status socket, if the configuration has one, and returns it as the crew's observer; else
  // nullptr.
  // Throws status::SocketMistake when it cannot be had.
  CrewObserver* open(Loop& loop, const config::Config& config, const board::Board& board);

  struct Picture {
    status::Phase phase = status::Phase::preflight;
    bool paused = false;
    bool checking = false;  // a new configuration
    Standing standing;
    std::uint32_t living_sub_workers = 0;
    std::uint32_t slots = 0;         // that were ever in use
    Clock::time_point stop_by = {};  // while draining: when all have ended at the latest
  };
  // After every event.
  void show(const Picture& picture);
  // When show() is to be called at the latest; nothing when that does not matter.
  std::optional<Clock::time_point> next() const { return service_.next(); }

  // Call this before a step that blocks the loop for long without hanging: the watchdog's time starts again.
  void feed_watchdog() { service_.feed_watchdog(Clock::now()); }
  // Why the first preflight cannot answer yet; and that it has ended.
  void on_preflight_trouble(std::string reason);
  void on_preflight_done() { preflight_trouble_.reset(); }
  // Around each reload.
  void on_reload_begin() { service_.reloading(); }
  void on_reload_end(bool ok, const std::string& message);

 private:
  status::SupervisorFacts look() const;
  void log_degraded(const Picture& picture);
  static std::string words(const Picture& picture);

  ServiceNotifier service_;
  const std::function<status::SupervisorFacts()> look_;
  status::Process process_;
  std::optional<status::Trouble> preflight_trouble_;
  bool was_ready_ = false;  // jobs could be run, at least once
  bool degraded_ = false;   // as the log has it
  std::optional<status::Endpoint> endpoint_;
};

}  // namespace postpone::supervisor
