// One connection to PostgreSQL: statements in, rows out. Internal to sql/; libpq stays in the .cc file.
//
// Nothing here blocks for longer than ConnectOptions say, and on_tick is called meanwhile. Nothing is left in
// the session (no SET but for one transaction; a named statement only where no pooler is between us), so that
// every statement, or every pipeline, may go to another server session of a pooler in transaction mode. A
// caller that wants several statements in one transaction, with results in between, sends BEGIN and COMMIT
// (without an isolation level: the transaction's first statement is ours).
//
// Errors are DatabaseErrors. After remedy `reconnect`, and after on_tick threw, the connection is of no more
// use; after any other error it is ready for the next statement (though BEGIN still wants its ROLLBACK).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "sql/connect_options.h"
#include "sql/connecting.h"
#include "sql/error.h"
#include "sql/parameter.h"
#include "sql/prepared_statements.h"
#include "sql/result.h"

namespace postpone::sql {

// What the server said in a result that is an error.
ServerError error_of(const pg_result* result);

// Throws the DatabaseError (reconnect) of a connection that broke.
[[noreturn]] void throw_lost(const pg_conn* connection);

struct Statement {
  std::string sql;
  std::vector<Parameter> parameters;
  bool is_frequent = false;  // there are few texts like this one: the server may keep it prepared
};

class Connection {
 public:
  // Connects. Throws DatabaseError: `reconnect` when no server could be reached, `bug` when the server
  // refused our login.
  explicit Connection(ConnectOptions options);

  // One statement, its own transaction unless BEGIN came before. One round trip.
  Result query(std::string sql, std::vector<Parameter> parameters = {});

  // All statements in one round trip and, unless BEGIN came before, one transaction: all or none. One result
  // each. REQUIRES: none of them is BEGIN or COMMIT, if others stand beside it.
  std::vector<Result> pipeline(const std::vector<Statement>& statements);

  // Several statements in one text, without parameters and results, in one transaction unless BEGIN came
  // before. An error names the line of the text. Outside of a transaction the server knows no limit for it.
  void script(const std::string& sql);

  // No pooler is between us and the server, as far as the first answer told.
  bool is_direct() const { return prepared_.are_allowed(); }

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
  void send(const Statement& statement, bool is_asked);
  void send_all(const std::vector<Statement>& statements);
  std::optional<Statement> limit_of_the_server() const;
  std::optional<ServerError> read_until_sync(std::vector<Result>& results);
  void hear_greeting(const Result& answer);
  std::vector<Result> exchange(const std::vector<Statement>& statements);

  ConnectOptions options_;
  ConnectionHandle handle_;
  Clock::time_point next_tick_;
  Clock::time_point heard_at_;  // when the last byte came, or the work began
  PreparedStatements prepared_;
  // What was sent in the present pipeline, one for each result that will come.
  struct Sent {
    bool is_asked = false;                             // its result is the caller's
    std::optional<PreparedStatements::Name> prepares;  // no statement: the server is to prepare one
  };
  std::vector<Sent> sent_;
  bool has_greeted_ = false;  // see kGreeting
  bool working_ = false;      // still set when work begins: the work before it was broken off half-way
};

}  // namespace postpone::sql
