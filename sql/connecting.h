// A connection in the making, without blocking: what Connection waits for and Listener is driven through.
//
// libpq itself leaves a host that does not answer only in its blocking form. Here each host of the url has
// its time, then the attempt starts again without it. Host names are looked up synchronously, by libpq.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

struct pg_conn;

namespace postpone::sql {

struct CloseConnection {
  void operator()(pg_conn* connection) const noexcept;
};
using ConnectionHandle = std::unique_ptr<pg_conn, CloseConnection>;

// What is wrong with a connection string as far as that can be seen without a server; empty = nothing. The
// url is never part of it.
std::string fault_of_url(const std::string& url);

class ConnectAttempt {
 public:
  using Clock = std::chrono::steady_clock;

  // Starts. Throws DatabaseError as advance() does; the url is never part of a message.
  ConnectAttempt(std::string url, std::string application_name, std::chrono::milliseconds time_per_host,
                 Clock::time_point now);

  // The connection (non-blocking, notices go to the log), or nothing yet: call again when the socket is
  // ready, or at the deadline. Calling it too early does no harm. Throws DatabaseError when it failed: bug
  // when the server refused who we are or the url is wrong, else reconnect.
  ConnectionHandle advance(Clock::time_point now);

  int socket() const;  // may change with every advance()
  bool wants_write() const { return wants_write_; }
  Clock::time_point deadline() const { return deadline_; }

 private:
  struct Hosts {  // comma-separated lists, as libpq takes them; empty = what the url says
    std::string names;
    std::string addresses;
    std::string ports;
  };

  void start(const Hosts& hosts, Clock::time_point now);
  bool is_ready() const;
  std::string current_host() const;
  void note_host(Clock::time_point now);
  void leave_out_silent_host(Clock::time_point now);

  std::string url_;
  std::string application_name_;
  std::chrono::milliseconds time_per_host_;
  ConnectionHandle handle_;
  bool wants_write_ = true;
  std::string host_;  // the one that is being tried, since it has its own deadline
  Clock::time_point deadline_;
};

}  // namespace postpone::sql
