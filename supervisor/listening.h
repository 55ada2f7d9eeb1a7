// Drives the one LISTEN connection from the event loop.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "sql/listener.h"
#include "sql/outage.h"
#include "supervisor/loop.h"

namespace postpone::supervisor {

class Listening {
 public:
  struct Handlers {
    std::function<void(const sql::Notification&)> on_notification;
    std::function<void()> on_established;  // after each LISTEN: what was notified before is lost
  };

  // Begins at once. REQUIRES: the handlers' owner outlives it.
  Listening(Loop& loop, sql::ListenOptions options, Handlers handlers);

 private:
  void advance();
  void arm();
  void say_what_changed(bool established);

  Loop& loop_;
  sql::Listener listener_;
  Handlers handlers_;
  std::optional<Watch> socket_;
  Timer timer_;
  sql::Outage outage_;
};

}  // namespace postpone::supervisor
