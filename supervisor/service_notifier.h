// What the supervisor reports to the service manager, and when. Passive: its owner says how things stand and
// what time it is, and it sends what is new; a datagram that could not be sent is sent at the next call.
//
//   READY=1          once, when jobs can be run: until then, and during a reload, the manager is asked to
//                    wait on, since a database that is away for an hour is no reason to give up
//   STATUS=…         whenever the words change
//   WATCHDOG=1       at half of the time that is allowed, as long as upkeep comes round
//   RELOADING=1 …    around a reload, and READY=1 again behind it
//   STOPPING=1       once, with the time that draining may take
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "sys/service_manager.h"

namespace postpone::supervisor {

class ServiceNotifier {
 public:
  using Clock = std::chrono::steady_clock;

  // `manager` must outlive it.
  explicit ServiceNotifier(const sys::ServiceManager& manager) : manager_(manager) {}

  struct Picture {
    bool ready = false;     // jobs can be run, or could be once
    bool stopping = false;  // and by when it has ended at the latest
    Clock::time_point stopped_by = {};
    std::string words;  // one line, for people
  };
  void tell(const Picture& picture, Clock::time_point now);

  // Around a reload, whether it is taken or refused.
  void reloading();
  void reloaded() { reloaded_ = reloading_; }

  // Before a step that may keep the loop for a while: the time that is allowed begins anew here.
  void feed_watchdog(Clock::time_point now);

  // When tell() is to be called at the latest; nothing when that does not matter.
  std::optional<Clock::time_point> next() const;

 private:
  struct Said {
    bool ready = false;
    bool stopping = false;
    Clock::time_point stopped_by;
    std::string words;
    std::optional<Clock::time_point> watchdog;  // the last time
    std::optional<Clock::time_point> patience;
  };
  bool watchdog_is_due(Clock::time_point now) const;

  const sys::ServiceManager& manager_;
  Said said_;
  bool reloading_ = false;  // said so, and READY=1 has to follow
  bool reloaded_ = false;
};

}  // namespace postpone::supervisor
