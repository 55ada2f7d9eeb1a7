// What went wrong in the database, and what to do about it.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace postpone::sql {

// What the caller should do. Decided from the SQLSTATE, or from the lack of one (a connection that broke).
//
//   reconnect  the connection is gone or of no more use (08xxx, 57P01-57P03, 53300, a timeout of ours): open
//   a new one, with a wait retry      the same statement may succeed at once (40001, 40P01, 55P03) wait the
//   server is up but cannot do it now (53xxx, 25006 read-only, 57014 cancelled, 58xxx): the same statement,
//              after a wait
//   conflict   a rule of the queue said no (23505 on a queueing lock): tell whoever asked
//   bug        anything else: a mistake of ours, of the schema or of the arguments; doing it again will not
//   help
enum class Remedy { reconnect, retry, wait, conflict, bug };

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

 private:
  Remedy remedy_;
  std::string sqlstate_;
  std::string constraint_;
  std::string detail_;
};

// A job with the same queueing lock waits already. what() names the lock.
class AlreadyEnqueued : public DatabaseError {
 public:
  explicit AlreadyEnqueued(const DatabaseError& violation, std::string queueing_lock);
  const std::string& queueing_lock() const noexcept { return queueing_lock_; }

 private:
  std::string queueing_lock_;
};

// What the server says of an error, field by field.
struct ServerError {
  std::string sqlstate;  // empty when the connection broke instead
  std::string message;
  std::string detail;
  std::string constraint;
  int line = 0;  // of the SQL text; 0 = not known
};

// The table above. Pure.
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
