// The database as the threads of the pool see it: a connection that is opened when it is needed, and opened again when
// it was lost.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "sql/error.h"
#include "sql/fleet.h"

namespace postpone::web {

struct DatabaseOptions {
  std::string url;
  bool hide_arguments = false;
};

// Why a page cannot be made: one line for the person who looks at it.
class Unavailable : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Not thread-safe; each thread of the pool has its own.
class Database {
 public:
  // `stopping`: once it is true, what waits for the server ends with Unavailable.
  Database(DatabaseOptions options, const std::atomic<bool>& stopping);

  // What `question` answers, of the fleet. It is asked again over a new connection when the old one turns out to be
  // lost: the server may have been restarted since it was used. Throws Unavailable.
  template <class Question>
  auto ask(Question question) {
    const bool was_connected = fleet_.has_value();
    try {
      return question(fleet());
    } catch (const sql::DatabaseError& error) {
      if (!was_connected || error.remedy() != sql::Remedy::reconnect) give_up(error);
      fleet_.reset();
    }
    try {
      return question(fleet());
    } catch (const sql::DatabaseError& error) {
      give_up(error);
    }
  }

 private:
  sql::Fleet& fleet();
  sql::ConnectOptions connect_options() const;
  // Drops a connection that is of no more use, and says what is wrong in words.
  [[noreturn]] void give_up(const sql::DatabaseError& error);

  DatabaseOptions options_;
  const std::atomic<bool>& stopping_;
  std::optional<sql::Fleet> fleet_;
};

}  // namespace postpone::web
