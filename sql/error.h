// What went wrong in the database, and what to do about it.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace postpone::sql {

// What the caller should do. Decided from the SQLSTATE, or from the lack of one, by remedy_for().
enum class Remedy {
  reconnect,  // the connection is gone, or leads to a server of no use to us: open a new one, with a wait
  retry,      // the same statement may succeed at once
  wait,       // the server is up but cannot do it now, or took too long: the same statement, after a wait
  conflict,   // a rule of the queue said no: the caller passes that on to its user
  bug,        // a mistake of ours, of the schema or of the arguments: doing it again will not help
};

class DatabaseError : public std::runtime_error {
 public:
  DatabaseError(Remedy remedy, const std::string& message, std::string sqlstate = "",
                std::string constraint = "", std::string detail = "")
      : std::runtime_error(message),
        remedy_(remedy),
        sqlstate_(std::move(sqlstate)),
        constraint_(std::move(constraint)),
        detail_(std::move(detail)) {}

  Remedy remedy() const noexcept { return remedy_; }
  const std::string& sqlstate() const noexcept { return sqlstate_; }  // empty when the server did not speak
  const std::string& constraint() const noexcept { return constraint_; }
  const std::string& detail() const noexcept { return detail_; }

  // Whether what was asked may have been done all the same, or may yet be: the connection was lost before the
  // server had answered. An error that the server itself reports within a transaction ends it, and nothing
  // was done.
  bool leaves_doubt() const noexcept;

 private:
  Remedy remedy_;
  std::string sqlstate_;
  std::string constraint_;
  std::string detail_;
};

// A job with the same queueing lock waits already. what() names the lock.
class AlreadyEnqueued : public DatabaseError {
 public:
  // `reason`: why it cannot replace the job that waits; empty = it was not to.
  explicit AlreadyEnqueued(const DatabaseError& violation, std::string queueing_lock,
                           const std::string& reason = "");
  const std::string& queueing_lock() const noexcept { return queueing_lock_; }

 private:
  std::string queueing_lock_;
};

// Whether the server refused because the worker's row is gone. Its error then names one constraint; a
// violation of any other foreign key is about a table of the application.
bool says_lease_is_gone(const DatabaseError& error);

// What the server says of an error, field by field.
struct ServerError {
  std::string sqlstate;  // empty when the connection broke instead
  std::string message;
  std::string detail;
  std::string constraint;
  int line = 0;  // of the SQL text; 0 = not known
};

// What to do about an error of this state:
//
// - reconnect: none (the connection broke), 08xxx, 53300, 57P01 to 57P03, 57P05, 25P03; 25006 (read-only: of
//   the hosts of the url another one may be the primary now)
// - retry: 40001 and 40P01 (the victim of a conflict), 55P03 (a lock not to be waited for)
// - wait: 53xxx (resources), 58xxx (system), 57014 (cancelled, statement_timeout)
// - conflict: 23505 on the index of queueing locks
// - bug: all others
//
// Pure.
Remedy remedy_for(std::string_view sqlstate, std::string_view constraint = {});

// Throws what stands for it: AlreadyEnqueued, or DatabaseError with the text "<message> (SQLSTATE xxxxx)[:
// detail]" in one line.
[[noreturn]] void throw_server_error(const ServerError& error);

// Why libpq could not connect, from its message with verbosity "verbose" (one or more lines for each host
// that was tried).
DatabaseError connect_failure(std::string_view libpq_message, bool password_missing);

// The text in one line, without white space at its ends.
std::string one_line(std::string_view text);

}  // namespace postpone::sql
