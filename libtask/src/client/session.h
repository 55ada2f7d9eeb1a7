// A connection as the client uses it: statements, and what makes several of them one.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libtask/client.h"
#include "wire.h"

namespace libtask::detail {

struct Parameter {
  Type type = Type::text;
  Bytes bytes;
  bool is_array = false;

  static Parameter array(Type type, const std::vector<Bytes>& elements) {
    return {type, array_of(type, elements), true};
  }
};

// The rows of an answer, in text form.
class Rows {
 public:
  explicit Rows(PGresult* result) : result_(result, &PQclear) {}
  int count() const { return PQntuples(result_.get()); }
  std::string text(int row, int column) const {
    return {PQgetvalue(result_.get(), row, column),
            static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
  }
  std::int64_t number(int row, int column) const {
    return std::strtoll(PQgetvalue(result_.get(), row, column), nullptr, 10);
  }
  bool flag(int row, int column) const { return *PQgetvalue(result_.get(), row, column) == 't'; }
  ExecStatusType status() const { return PQresultStatus(result_.get()); }
  const PGresult* get() const { return result_.get(); }

 private:
  std::unique_ptr<PGresult, decltype(&PQclear)> result_;
};

// Not thread-safe.
class Session {
 public:
  explicit Session(const std::string& conninfo);
  explicit Session(PGconn* borrowed);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  // A connection of our own that was lost is made again. Throws ConnectionLost, and DatabaseError where
  // nothing can be sent: the open transaction has failed, or an answer is read elsewhere.
  void make_ready();
  bool in_transaction() const;
  // Returns what it was. A call of ours waits for its answer on a connection that does not block, too.
  bool set_nonblocking(bool is_nonblocking);

  // Throws DatabaseError and what derives from it. REQUIRES: make_ready().
  Rows query(const std::string& sql, const std::vector<Parameter>& parameters = {});

  // COPY … FROM STDIN is begun by query(). After an exception of send() or end_copy() the rest of the copy has
  // been taken back.
  void send(const std::string& rows);
  void end_copy();
  void abandon_copy() noexcept;

 private:
  [[noreturn]] void throw_lost(const std::string& what, bool is_in_doubt = false);
  Rows checked(PGresult* result, bool takes_effect);

  PGconn* connection_ = nullptr;
  bool is_own_ = true;
};

// All statements until commit() take effect together or not at all: a savepoint where a transaction is open, and
// a transaction where none is. Where one statement is all, that is a transaction by itself.
class Whole {
 public:
  enum class Statements { one, several };
  Whole(Session& session, Statements statements);
  Whole(const Whole&) = delete;
  Whole& operator=(const Whole&) = delete;
  ~Whole();  // takes back what was not committed
  void commit();

 private:
  Session& session_;
  const bool was_nonblocking_;
  bool is_savepoint_ = false;
  bool is_transaction_ = false;
};

}  // namespace libtask::detail
