// The housekeeper's connection: opened anew, with growing waits, for as long as the database is away.
#pragma once

#include <chrono>
#include <optional>

#include "sql/connect_options.h"
#include "sql/job_manager.h"
#include "sql/outage_log.h"
#include "sys/backoff.h"

namespace postpone::subworker {

class HousekeeperConnection {
 public:
  explicit HousekeeperConnection(sql::ConnectOptions options);

  bool is_open() const { return manager_.has_value(); }
  // Opens it. Throws sql::DatabaseError. REQUIRES: it is not open.
  void open();
  // REQUIRES: it is open.
  sql::JobManager& database() { return *manager_; }

  // See JobManager::rehearse_rescue(); once for each connection. Throws sql::DatabaseError (reconnect) only.
  // REQUIRES: it is open.
  void rehearse();

  // An error has come out of open(), or of database(), which closes the connection unless the same statement
  // may go well at once. Says so in the log, and returns how long to wait before the next try.
  std::chrono::milliseconds failed(const sql::DatabaseError& error);
  // A whole round has gone well.
  void works();

 private:
  const sql::ConnectOptions options_;
  std::optional<sql::JobManager> manager_;
  bool is_rehearsed_ = false;
  sys::Backoff backoff_;  // between connections
  sys::Backoff refused_;  // by the server, until a person mends that
  sql::OutageLog outage_;
};

}  // namespace postpone::subworker
