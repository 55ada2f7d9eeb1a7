// One connection to PostgreSQL: statements in, rows out. Internal to sql/; libpq stays in the .cc file.
//
// Nothing here blocks for longer than ConnectOptions say, and on_tick is called meanwhile. Nothing is left in
// the session (no SET but for one transaction, no named statement), so that every statement, or every
// pipeline, may go to another server session of a pooler in transaction mode. Who wants several statements in
// one transaction, and sees results in between, says BEGIN and COMMIT (no isolation level: the transaction's
// first statement is ours).
//
// Errors are DatabaseErrors. After remedy `reconnect`, and after on_tick threw, the connection is of no more
// use; after any other error it is ready for the next statement (though BEGIN still wants its ROLLBACK).
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "sql/connect_options.h"
#include "sql/connecting.h"
#include "sql/error.h"
#include "sql/job.h"

struct pg_result;

namespace postpone::sql {

struct ClearResult {
  void operator()(pg_result* result) const noexcept;
};
using ResultHandle = std::unique_ptr<pg_result, ClearResult>;

// What the server said in a result that is an error.
ServerError error_of(const pg_result* result);

// Throws the DatabaseError (reconnect) of a connection that broke.
[[noreturn]] void throw_lost(const pg_conn* connection);

// A parameter in text form; nothing = NULL. Cast it in the statement: $1::bigint.
using Parameter = std::optional<std::string>;

// PostgreSQL's text form of values, the same whatever DateStyle and TimeZone are.
std::string to_parameter(int value);
std::string to_parameter(std::int64_t value);
std::string to_parameter(double value);
template <std::same_as<bool> T>  // of a plain bool parameter, every pointer would become "true"
std::string to_parameter(T value) {
  return value ? "t" : "f";
}
std::string to_parameter(SystemTime value);                         // timestamptz, to the microsecond
std::string to_parameter(const std::vector<std::int64_t>& values);  // an array, {1,2}
std::string to_parameter(const std::vector<std::string>& values);   // an array, {"a","b"}; any text
std::string to_parameter(const std::vector<Parameter>& values);     // the same, with NULLs
inline std::string to_parameter(std::string value) {
  return value;
}
template <class T>
Parameter to_parameter(const std::optional<T>& value) {
  if (!value) return std::nullopt;
  return to_parameter(*value);
}

struct Statement {
  std::string sql;
  std::vector<Parameter> parameters;
};

// One row of a Result, valid as long as that lives. Columns count from 0. get<T>() knows bool, int,
// std::int64_t, double, std::string, DatabaseTime and SystemTime (of a column that microseconds_of() wrote)
// and std::optional of these; a NULL where T is not optional, or text that is no T, is a DatabaseError (bug).
class Row {
 public:
  Row(const pg_result* result, int row) : result_(result), row_(row) {}

  bool is_null(int column) const;
  std::string_view text(int column) const;

  template <class T>
  T get(int column) const {
    if constexpr (is_optional<T>::value) {
      if (is_null(column)) return std::nullopt;
      return get<typename T::value_type>(column);
    } else {
      T value{};
      read(column, value);
      return value;
    }
  }

 private:
  template <class T>
  struct is_optional : std::false_type {};
  template <class T>
  struct is_optional<std::optional<T>> : std::true_type {};

  void read(int column, bool& value) const;
  void read(int column, int& value) const;
  void read(int column, std::int64_t& value) const;
  void read(int column, double& value) const;
  void read(int column, std::string& value) const;
  void read(int column, DatabaseTime& value) const;
  void read(int column, SystemTime& value) const;  // at its end for what lies beyond

  const pg_result* result_;
  int row_;
};

// The SQL that reads a timestamptz expression as get<DatabaseTime>() wants it, whatever moment it is: no row
// may make a statement fail for the time that stands in it.
std::string microseconds_of(std::string_view expression);
// The SQL that tells how many seconds ago a timestamptz expression was, as a double: negative for the future,
// infinite for the infinities, which a subtraction of PostgreSQL's would refuse.
std::string seconds_since(std::string_view expression);

class Result {
 public:
  explicit Result(ResultHandle handle) : handle_(std::move(handle)) {}

  int rows() const;
  bool empty() const { return rows() == 0; }
  Row row(int index) const { return Row(handle_.get(), index); }
  Row only() const;  // of a statement that gives one row; DatabaseError (bug) when it did not

  // For `for (Row row : result)`.
  class Iterator {
   public:
    Iterator(const pg_result* result, int row) : result_(result), row_(row) {}
    Row operator*() const { return Row(result_, row_); }
    Iterator& operator++() {
      ++row_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return row_ != other.row_; }

   private:
    const pg_result* result_;
    int row_;
  };
  Iterator begin() const { return {handle_.get(), 0}; }
  Iterator end() const { return {handle_.get(), rows()}; }

 private:
  ResultHandle handle_;
};

class Connection {
 public:
  // Connects. Throws DatabaseError: reconnect when no server could be reached, bug when it refused who we
  // are.
  explicit Connection(ConnectOptions options);

  // One statement, its own transaction unless BEGIN came before. One round trip.
  Result query(std::string sql, std::vector<Parameter> parameters = {});

  // All statements in one round trip and, unless BEGIN came before, one transaction: all or none. One result
  // each.
  std::vector<Result> pipeline(const std::vector<Statement>& statements);

  // Several statements in one text, without parameters and results, in one transaction unless BEGIN came
  // before. An error names the line of the text. Outside of a transaction the server knows no limit for it.
  void script(const std::string& sql);

  // As the server calls itself: 150006 is 15.6.
  int server_version() const;
  // Which one was reached, of all that the url, a service file and the environment name: "kitchen on host
  // db1, port 5432".
  std::string database() const;

 private:
  using Clock = std::chrono::steady_clock;

  pg_conn* begin_work();
  void establish();
  void tick();
  short wait_for(int socket, short events, Clock::time_point until);
  bool wait_for_result();
  ResultHandle next_result(const std::optional<ServerError>& last_words);
  void send(const Statement& statement);
  std::optional<Statement> limit_of_the_server() const;
  std::vector<Result> results_until_sync();

  ConnectOptions options_;
  ConnectionHandle handle_;
  Clock::time_point next_tick_;
  Clock::time_point heard_at_;  // when the last byte came, or the work began
  bool may_idle_ = false;       // said so to the server
  bool working_ = false;        // still set when work begins: the work before it was broken off half-way
};

}  // namespace postpone::sql
