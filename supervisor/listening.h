// Drives the one LISTEN connection from the event loop.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "sql/listener.h"
#include "sql/outage_log.h"
#include "supervisor/loop.h"
#include "sys/backoff.h"

namespace postpone::supervisor {

class Listening {
 public:
  struct Handlers {
    std::function<void(const sql::Notification&)> on_notification;
    std::function<void()> on_established;  // after each LISTEN: what was notified before is lost
    // Before each step on the way to a connection. A step may take long: libpq looks up host names, and waits
    // half a minute for the answer when no name server is there.
    std::function<void()> on_connecting;
  };

  // Begins at once. REQUIRES: the handlers' owner outlives it.
  Listening(Loop& loop, sql::ListenOptions options, Handlers handlers);

  // How it stands, for the status socket.
  using Clock = sql::Listener::Clock;
  struct Facts {
    sql::Listener::State state = sql::Listener::State::waiting;
    Clock::time_point since;  // of `state`
    int reconnects = 0;
    std::uint64_t notifications = 0;
    std::optional<Clock::time_point> last_notification;
    std::optional<Clock::time_point> last_probe;  // that came back
    std::optional<Clock::time_point> failed_at;   // the last time, and why
    std::string failure;
  };
  Facts facts() const;

 private:
  void advance();
  void arm();
  void log_changes(bool established);

  Loop& loop_;
  sql::Listener listener_;
  Handlers handlers_;
  std::optional<Watch> socket_;
  Timer timer_;
  sys::Backoff watch_pause_{std::chrono::milliseconds(100), std::chrono::seconds(10)};
  sql::OutageLog outage_{"LISTEN connection"};
  Facts facts_;  // what the listener does not keep itself
};

}  // namespace postpone::supervisor
