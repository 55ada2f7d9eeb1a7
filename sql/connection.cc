#include "sql/connection.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <limits>
#include <system_error>
#include <utility>

#include "sql/error.h"
#include "sys/crash_point.h"

namespace postpone::sql {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr milliseconds kTickInterval{50};

// The first work of a connection says this too. A connection that is kept for the next job idles on purpose,
// whatever the role or the database has as a limit; behind a pooler the session may be another's the next
// time: it is left as it is where there is no limit. So it is with transactions that keep their snapshot: one that
// ends a lease might overlook a claim (sql/functions/claims.sql). The answer tells whether there is a pooler: the server
// process is not the one that $1 says. Where there is none, the server compiles no later statement of the session: what we
// send often is done before the compiler would be (half a second), and it would compile anew each time.
constexpr std::string_view kGreeting =
    "select pg_backend_pid(), case when pg_backend_pid() = $1::int then set_config('jit', 'off', false) end, "
    "case when current_setting('idle_session_timeout') <> '0'"
    " then set_config('idle_session_timeout', '0', false) end,"
    " case when current_setting('default_transaction_isolation') <> 'read committed'"
    " then set_config('default_transaction_isolation', 'read committed', false) end";

std::string field_of(const PGresult* result, int field) {
  const char* text = PQresultErrorField(result, field);
  return text != nullptr ? text : "";
}

// The line of the SQL text that PostgreSQL points at, by a position that counts characters from 1.
int line_at(std::string_view sql, const std::string& position) {
  long characters = std::strtol(position.c_str(), nullptr, 10);
  if (characters <= 0) return 0;
  int line = 1;
  for (const char c : sql) {
    const bool starts_character = (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    if (starts_character && --characters == 0) break;
    if (c == '\n') ++line;
  }
  return line;
}

// An answer that the protocol cannot give to what was asked, or that we never ask for (COPY).
[[noreturn]] void throw_unexpected_answer(const PGresult* result) {
  throw DatabaseError(Remedy::bug, std::string("unexpected answer from the database: ") +
                                       PQresStatus(PQresultStatus(result)));
}

void refuse_nul(const std::vector<Statement>& statements) {
  for (const Statement& statement : statements) {
    for (const Parameter& parameter : statement.parameters) {
      if (parameter && parameter->find('\0') != std::string::npos) {
        throw DatabaseError(Remedy::bug,
                            "a text for the database holds a NUL byte, which PostgreSQL cannot store");
      }
    }
  }
}

}  // namespace

ServerError error_of(const PGresult* result) {
  const std::string primary = field_of(result, PG_DIAG_MESSAGE_PRIMARY);
  return {.sqlstate = field_of(result, PG_DIAG_SQLSTATE),
          .message = primary.empty() ? PQresultErrorMessage(result) : primary,
          .detail = field_of(result, PG_DIAG_MESSAGE_DETAIL),
          .constraint = field_of(result, PG_DIAG_CONSTRAINT_NAME),
          .line = 0};
}

void throw_lost(const pg_conn* connection) {
  ServerError lost;
  lost.message = PQerrorMessage(connection);
  throw_server_error(lost);
}

// --- waiting ---

void Connection::tick() {
  if (options_.on_tick) options_.on_tick();
  next_tick_ = Clock::now() + kTickInterval;
}

// The events that came, 0 when `until` is over. It looks at the socket before it looks at the clock: we may
// have been stopped for longer than the server was given. A signal ticks at once: it may be what on_tick
// looks for.
short Connection::wait_for(int socket, short events, Clock::time_point until) {
  for (;;) {
    const auto slice = std::chrono::ceil<milliseconds>(std::min(next_tick_, until) - Clock::now());
    const int watched = options_.watched_fd ? options_.watched_fd() : -1;  // poll() passes over negative ones
    pollfd fds[] = {{.fd = socket, .events = events, .revents = 0},
                    {.fd = watched, .events = POLLIN, .revents = 0}};
    const int ready = poll(fds, std::size(fds), static_cast<int>(std::max(slice, milliseconds(0)).count()));
    if (ready < 0 && errno != EINTR) throw std::system_error(errno, std::generic_category(), "poll");
    const auto now = Clock::now();
    if (ready < 0 || now >= next_tick_ || fds[1].revents != 0) tick();
    if (fds[0].revents != 0) return fds[0].revents;
    if (now >= until) return 0;
  }
}

Connection::Connection(ConnectOptions options) : options_(std::move(options)) {
  next_tick_ = heard_at_ = Clock::now();
  next_tick_ += kTickInterval;
  establish();
}

void Connection::establish() {
  ConnectAttempt attempt(options_.url, options_.application_name, options_.connect_timeout, Clock::now());
  while (!(handle_ = attempt.advance(Clock::now()))) {
    wait_for(attempt.socket(), attempt.wants_write() ? POLLOUT : POLLIN, attempt.deadline());
  }
}

// Sends what is left and receives until an answer is complete. False when the connection was lost.
bool Connection::wait_for_result() {
  pg_conn* connection = handle_.get();
  for (;;) {
    const int unsent = PQflush(connection);
    if (unsent < 0) return false;
    if (unsent == 0 && PQisBusy(connection) == 0) return true;

    const bool limited = options_.statement_timeout > milliseconds(0);
    const auto until = limited ? heard_at_ + options_.statement_timeout : Clock::time_point::max();
    const short ready = wait_for(PQsocket(connection), unsent > 0 ? POLLIN | POLLOUT : POLLIN, until);
    if (ready == 0) {
      throw DatabaseError(Remedy::reconnect, "no answer from the database within " +
                                                 std::to_string(options_.statement_timeout.count()) + " ms");
    }
    if ((ready & ~POLLOUT) == 0) continue;
    heard_at_ = Clock::now();
    if (PQconsumeInput(connection) == 0) return false;
  }
}

// --- statements ---

pg_conn* Connection::begin_work() {
  if (working_) {
    throw DatabaseError(Remedy::reconnect,
                        "the connection to the database was given up in the middle of a statement");
  }
  working_ = true;
  heard_at_ = Clock::now();
  next_tick_ = heard_at_ + kTickInterval;
  return handle_.get();
}

void Connection::send(const Statement& statement, bool is_asked) {
  std::vector<const char*> values;
  values.reserve(statement.parameters.size());
  for (const Parameter& parameter : statement.parameters) {
    values.push_back(parameter ? parameter->c_str() : nullptr);
  }
  constexpr int kText = 0;
  pg_conn* connection = handle_.get();
  const char* sql = statement.sql.c_str();
  const int count = static_cast<int>(values.size());
  int sent = 0;
  if (statement.is_frequent && prepared_.are_allowed()) {
    const PreparedStatements::Name name = prepared_.name_of(statement.sql);
    if (name.is_new) {
      if (PQsendPrepare(connection, name.text.c_str(), sql, 0, nullptr) == 0) throw_lost(connection);
      sent_.push_back({.is_asked = false, .prepares = name});
    }
    sent = PQsendQueryPrepared(connection, name.text.c_str(), count, values.data(), nullptr, nullptr, kText);
  } else {
    sent = PQsendQueryParams(connection, sql, count, nullptr, values.data(), nullptr, nullptr, kText);
  }
  if (sent == 0) throw_lost(connection);
  sent_.push_back({.is_asked = is_asked, .prepares = {}});
}

// Nothing at the end of a statement's results. A lost connection throws, with the server's last words if
// there were any.
ResultHandle Connection::next_result(const std::optional<ServerError>& last_words) {
  ResultHandle result;
  const bool received = wait_for_result();
  if (received) result.reset(PQgetResult(handle_.get()));
  if (received && (result || PQstatus(handle_.get()) == CONNECTION_OK)) return result;
  if (last_words) throw_server_error(*last_words);
  throw_lost(handle_.get());
}

// The server itself ends a statement that takes too long, most often one that waits for a lock: its backend
// does not hear of a client that has gone away, and would be left behind, one for each attempt, until
// max_connections is used up. A request to cancel would not do, as it takes a connection of its own, which
// blocks and may not come about. It travels with the work, so it costs no round trip, and it ends with the
// transaction, so it follows the work through a pooler. A little earlier than our own limit, for the answer
// to come in time: nothing was done then, and the connection may be kept.
std::optional<Statement> Connection::limit_of_the_server() const {
  const bool begins_transaction = PQtransactionStatus(handle_.get()) == PQTRANS_IDLE;
  if (options_.statement_timeout <= milliseconds(0) || !begins_transaction) return std::nullopt;
  const auto limit = std::max(options_.statement_timeout * 9 / 10, milliseconds(1));
  return Statement{"select set_config('statement_timeout', $1::text, true)", {std::to_string(limit.count())}};
}

// Reads to the end of the pipeline even after an error, so that the connection can go on. The results are
// those up to the error.
std::optional<ServerError> Connection::read_until_sync(std::vector<Result>& results) {
  std::optional<ServerError> error;
  for (;;) {
    ResultHandle result = next_result(error);
    if (!result) continue;  // the end of one statement's results
    switch (PQresultStatus(result.get())) {
      case PGRES_TUPLES_OK:
      case PGRES_COMMAND_OK:
      case PGRES_EMPTY_QUERY:
        results.emplace_back(std::move(result));
        break;
      case PGRES_FATAL_ERROR:
        if (!error) error = error_of(result.get());
        break;
      case PGRES_PIPELINE_ABORTED:
        break;
      case PGRES_PIPELINE_SYNC:
        PQexitPipelineMode(handle_.get());
        working_ = false;
        return error;
      default:
        throw_unexpected_answer(result.get());
    }
  }
}

Result Connection::query(std::string sql, std::vector<Parameter> parameters) {
  std::vector<Statement> statements;
  statements.push_back({std::move(sql), std::move(parameters)});
  return std::move(pipeline(statements).at(0));
}

void Connection::send_all(const std::vector<Statement>& statements) {
  pg_conn* connection = begin_work();
  sent_.clear();
  std::optional<Statement> limit = limit_of_the_server();
  if (limit) limit->is_frequent = std::ranges::any_of(statements, &Statement::is_frequent);
  if (PQenterPipelineMode(connection) == 0) throw_lost(connection);
  if (limit) send(*limit, false);
  for (const Statement& statement : statements) send(statement, true);
  // Last, since a transaction that begins here may want to be the first.
  if (!has_greeted_)
    send(Statement{std::string(kGreeting), {std::to_string(PQbackendPID(connection))}}, false);
  if (PQpipelineSync(connection) == 0) throw_lost(connection);
  sys::crash_point("database.statements_sent");
}

void Connection::hear_greeting(const Result& answer) {
  has_greeted_ = true;
  if (answer.only().get<int>(0) == PQbackendPID(handle_.get())) prepared_.allow();
}

std::vector<Result> Connection::exchange(const std::vector<Statement>& statements) {
  send_all(statements);
  std::vector<Result> results;
  const std::optional<ServerError> error = read_until_sync(results);
  for (std::size_t i = results.size(); i < sent_.size(); ++i) {
    if (sent_[i].prepares) prepared_.left_out(*sent_[i].prepares);
  }
  if (error) throw_server_error(*error);
  if (!has_greeted_) hear_greeting(results.back());
  std::vector<Result> asked;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (sent_[i].is_asked) asked.push_back(std::move(results[i]));
  }
  return asked;
}

std::vector<Result> Connection::pipeline(const std::vector<Statement>& statements) {
  refuse_nul(statements);
  const auto is_idle = [this] { return PQtransactionStatus(handle_.get()) == PQTRANS_IDLE; };
  const bool was_idle = is_idle();
  try {
    return exchange(statements);
  } catch (const DatabaseError& error) {
    const bool gives_up = prepared_.gives_up_after(error.sqlstate());
    // Where a transaction began and ended here, nothing of it was done.
    if (!gives_up || !was_idle || !is_idle()) throw;
  }
  return exchange(statements);
}

void Connection::script(const std::string& sql) {
  pg_conn* connection = begin_work();
  if (PQsendQuery(connection, sql.c_str()) == 0) throw_lost(handle_.get());
  std::optional<ServerError> error;
  while (const ResultHandle result = next_result(error)) {
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_FATAL_ERROR) {
      error = error_of(result.get());
      error->line = line_at(sql, field_of(result.get(), PG_DIAG_STATEMENT_POSITION));
    } else if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
      throw_unexpected_answer(result.get());
    }
  }
  working_ = false;
  if (error) throw_server_error(*error);
}

int Connection::server_version() const {
  return PQserverVersion(handle_.get());
}

std::string Connection::database() const {
  const auto text = [](const char* value) { return std::string(value != nullptr ? value : ""); };
  const pg_conn* connection = handle_.get();
  return text(PQdb(connection)) + " on host " + text(PQhost(connection)) + ", port " +
         text(PQport(connection));
}

}  // namespace postpone::sql
