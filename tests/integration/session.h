// A database session for tests, on bare libpq: what a foreign client (psycopg, psql) would send, and what it
// would see.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/database.h"

namespace postpone::tests {

// A parameter in text form, with the type that the client declares. psycopg declares smallint for 7, and
// nothing for a str.
struct Param {
  std::optional<std::string> value;
  Oid type = 0;  // 0 = undeclared
};
inline Param untyped(std::string text) {
  return {std::move(text), 0};
}
inline Param smallint(int value) {
  return {std::to_string(value), 21};
}
inline Param integer(int value) {
  return {std::to_string(value), 23};
}
inline Param bigint(long long value) {
  return {std::to_string(value), 20};
}
inline Param boolean(bool value) {
  return {value ? "t" : "f", 16};
}
inline Param jsonb(std::string text) {
  return {std::move(text), 3802};
}
inline Param null() {
  return {};
}

class SqlError : public std::runtime_error {
 public:
  explicit SqlError(const PGresult* result);
  std::string sqlstate, message, constraint, detail;
};

struct Note {
  std::string channel, payload;
  bool operator==(const Note&) const = default;
};
inline void PrintTo(const Note& note, std::ostream* out) {
  *out << note.channel << ": " << note.payload;
}

using Values = std::vector<std::string>;  // NULL = "∅"

class Session {
 public:
  explicit Session(const TestDatabase& database);

  // Rows of the last statement, its columns joined by '|'. Several statements only without parameters. Throws
  // SqlError.
  Values rows(const std::string& sql, const std::vector<Param>& params = {});
  // The first of them; empty when there is none.
  std::string value(const std::string& sql, const std::vector<Param>& params = {});

  // A statement whose answer is read later, because it waits for another session.
  void send(const std::string& sql);
  Values receive();
  int pid() const { return PQbackendPID(connection_.get()); }

  // What this session was notified of since the last call. Its own notifications have arrived when commit
  // has.
  std::vector<Note> notes();

 private:
  std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
};

// Returns once this session waits for a lock of another one; throws after 30 s.
void wait_until_blocked(const TestDatabase& database, const Session& session);

}  // namespace postpone::tests
