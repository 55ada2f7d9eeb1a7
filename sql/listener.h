// The one LISTEN connection, without blocking: a passive object that an event loop drives.
//
//     Listener listener(options);
//     loop: poll listener.socket() for listener.wants(), or until listener.deadline(); then
//       for (Notification& n : listener.advance(now)) …
//       if (listener.take_established()) ring every doorbell: notifications during the outage are lost
//
// It connects, sends LISTEN for every channel, probes itself, notices when the server has fallen silent or
// has become read-only (a primary that was demoted), and connects again with growing waits. It never throws
// for what the server or the network does: take_failure() returns the error. libpq looks host names up
// synchronously: use an address, a Unix socket or a local resolver where that matters.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sql/notification.h"

namespace postpone::sql {

struct ListenOptions {
  std::string url;
  std::string application_name;
  std::vector<std::string> queues;  // empty = all
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds probe_interval{5'000};  // a notification to ourselves so often …
  std::chrono::milliseconds probe_timeout{
      10'000};  // … and a new connection when it has not come back by then
  // The server drops the connection, where it is by TCP, when we have read nothing for so long.
  std::chrono::milliseconds unread_timeout{60'000};
  std::chrono::milliseconds backoff_first{50};
  // Short, as it is one connection for a whole family, and the family hears from it that the server is back.
  std::chrono::milliseconds backoff_most{200};
};

class Listener {
 public:
  using Clock = std::chrono::steady_clock;
  enum class State { waiting, connecting, listening };  // waiting: for the next attempt to connect

  explicit Listener(ListenOptions options);
  ~Listener();
  Listener(Listener&&) noexcept;
  Listener& operator=(Listener&&) noexcept;

  State state() const;
  int socket() const;  // -1 while waiting. Changes with every attempt to connect, and may change within one.
  struct Wants {
    bool read = false;
    bool write = false;
  };
  Wants wants() const;
  // When advance() is to be called even though the socket is silent.
  Clock::time_point deadline() const;

  // Goes on as far as it can without blocking, and returns what has come in, folded. When very much has, it
  // returns a part, and deadline() is due at once: others of the event loop are served in between.
  std::vector<Notification> advance(Clock::time_point now);

  // True once after each time that LISTEN was confirmed.
  bool take_established();
  // Once after each attempt or connection that failed: why.
  std::optional<std::string> take_failure();
  int reconnects() const;
  std::uint64_t heard() const;  // notifications, before they were folded
  // When a probe last came back: the connection was good then. Nothing = none has yet.
  std::optional<Clock::time_point> probed_at() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postpone::sql
