// How to reach the database, and how long to wait for it.
#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace postpone::sql {

struct ConnectOptions {
  std::string url;               // libpq conninfo or URI; empty = libpq's own defaults
  std::string application_name;  // shown in pg_stat_activity, unless the url says another
  // For each host of the url, from the first packet to the end of authentication; a host that takes longer is
  // left out, and the next one of the url is tried.
  std::chrono::milliseconds connect_timeout{10'000};
  // Without a byte from the server for so long: DatabaseError, reconnect. Shortly before, the server itself
  // ends a statement that takes so long, a wait for a lock included: DatabaseError, wait. Zero = no limit.
  std::chrono::milliseconds statement_timeout{30'000};
  // Called at least every 500 ms while a call waits for the server. It may throw, which ends the wait; the
  // connection is then of no more use.
  std::function<void()> on_tick;
  // A descriptor that on_tick looks after, -1 for none: what can be read there calls it at once. Asked before each wait.
  std::function<int()> watched_fd;
};

}  // namespace postpone::sql
