#include "session.h"

#include <array>
#include <cstdlib>
#include <string_view>

namespace libtask::detail {
namespace {

std::string without_newlines(const char* message) {
  std::string text(message != nullptr ? message : "");
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  // libpq breaks its longer messages into lines that begin with a tab.
  for (char& c : text) {
    if (c == '\n' || c == '\t') c = ' ';
  }
  return text;
}

std::string field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text != nullptr ? text : "";
}

// "Key (queueing_lock)=(the lock) already exists.", in the server's language. Empty for a role that may not read
// queueing locks.
std::string lock_in_detail(const std::string& detail) {
  constexpr std::string_view kBefore = ")=(";
  const std::size_t begin = detail.find(kBefore);
  const std::size_t end = detail.rfind(')');
  if (begin == std::string::npos || end < begin + kBefore.size()) return "";
  return detail.substr(begin + kBefore.size(), end - begin - kBefore.size());
}

[[noreturn]] void throw_refusal(const PGresult* result) {
  const std::string sqlstate = field(result, PG_DIAG_SQLSTATE);
  std::string message = field(result, PG_DIAG_MESSAGE_PRIMARY);
  if (message.empty()) message = without_newlines(PQresultErrorMessage(result));
  if (sqlstate == "23505" &&
      field(result, PG_DIAG_CONSTRAINT_NAME) == "procrastinate_jobs_queueing_lock_idx_v1") {
    const std::string lock = lock_in_detail(field(result, PG_DIAG_MESSAGE_DETAIL));
    const std::string which = lock.empty() ? "the same queueing lock" : "queueing lock \"" + lock + "\"";
    const bool is_of_another_task = message.starts_with("job ");
    throw AlreadyEnqueued(
        "already enqueued: " + (is_of_another_task ? message : "a job with " + which + " waits"), lock);
  }
  if (sqlstate == "42883" || sqlstate == "42P01")
    message += " (is Postpone's schema in this database, and in the search_path? Run: postpone schema apply)";
  throw DatabaseError(message, sqlstate);
}

}  // namespace

Session::Session(const std::string& conninfo) {
  const std::array<const char*, 4> keywords{"dbname", "client_encoding", "fallback_application_name",
                                            nullptr};
  const std::array<const char*, 4> values{conninfo.c_str(), "UTF8", "libtask client", nullptr};
  connection_ = PQconnectdbParams(keywords.data(), values.data(), 1);
  if (PQstatus(connection_) == CONNECTION_OK) {
    PQsetNoticeProcessor(
        connection_, [](void*, const char*) {}, nullptr);
    return;
  }
  const std::string message = without_newlines(PQerrorMessage(connection_));
  PQfinish(connection_);
  throw ConnectionLost("cannot connect to the database: " + message, false);
}

Session::Session(PGconn* borrowed) : connection_(borrowed), is_own_(false) {
  if (borrowed == nullptr) throw std::invalid_argument("a Client needs a connection, and got a null pointer");
}

Session::~Session() {
  if (is_own_) PQfinish(connection_);
}

bool Session::in_transaction() const {
  return PQtransactionStatus(connection_) == PQTRANS_INTRANS;
}

bool Session::set_nonblocking(bool is_nonblocking) {
  const bool before = PQisnonblocking(connection_) != 0;
  if (before != is_nonblocking) PQsetnonblocking(connection_, is_nonblocking ? 1 : 0);
  return before;
}

void Session::make_ready() {
  if (is_own_ && PQstatus(connection_) != CONNECTION_OK) PQreset(connection_);
  if (PQstatus(connection_) != CONNECTION_OK) {
    throw ConnectionLost(
        "there is no connection to the database: " + without_newlines(PQerrorMessage(connection_)), false);
  }
  switch (PQtransactionStatus(connection_)) {
    case PQTRANS_INERROR:
      throw DatabaseError("the transaction that is open on this connection has failed: roll it back first",
                          "25P02");
    case PQTRANS_ACTIVE:
      throw DatabaseError("the connection is in the middle of another statement: read its answer first", "");
    default:
      break;
  }
  const std::string_view encoding = pg_encoding_to_char(PQclientEncoding(connection_));
  if (encoding != "UTF8")
    throw DatabaseError("the connection's client_encoding is " + std::string(encoding) +
                            ", and has to be UTF8: PQsetClientEncoding(connection, \"UTF8\")",
                        "");
}

void Session::throw_lost(const std::string& what, bool is_in_doubt) {
  throw ConnectionLost("the connection to the database was lost: " + what, is_in_doubt);
}

Rows Session::checked(PGresult* result, bool takes_effect) {
  Rows rows(result);
  switch (rows.status()) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_COPY_IN:
      return rows;
    default:
      break;
  }
  if (PQstatus(connection_) != CONNECTION_OK)
    throw_lost(without_newlines(PQerrorMessage(connection_)), takes_effect);
  if (result == nullptr) throw DatabaseError(without_newlines(PQerrorMessage(connection_)), "");
  throw_refusal(result);
}

Rows Session::query(const std::string& sql, const std::vector<Parameter>& parameters) {
  std::vector<Oid> types;
  std::vector<const char*> values;
  std::vector<int> lengths;
  std::vector<int> formats(parameters.size(), 1);
  for (const Parameter& parameter : parameters) {
    types.push_back(oid_of(parameter.type, parameter.is_array));
    values.push_back(parameter.bytes ? parameter.bytes->data() : nullptr);
    lengths.push_back(parameter.bytes ? static_cast<int>(parameter.bytes->size()) : 0);
  }
  // Within a transaction nothing has happened before its COMMIT.
  const bool takes_effect =
      sql == "COMMIT" || (PQtransactionStatus(connection_) == PQTRANS_IDLE && sql != "BEGIN");
  return checked(PQexecParams(connection_, sql.c_str(), static_cast<int>(parameters.size()), types.data(),
                              values.data(), lengths.data(), formats.data(), 0),
                 takes_effect);
}

void Session::send(const std::string& rows) {
  if (PQputCopyData(connection_, rows.data(), static_cast<int>(rows.size())) == 1) return;
  const std::string message = without_newlines(PQerrorMessage(connection_));
  abandon_copy();
  throw_lost(message);
}

void Session::end_copy() {
  if (PQputCopyEnd(connection_, nullptr) != 1) throw_lost(without_newlines(PQerrorMessage(connection_)));
  Rows answer(PQgetResult(connection_));
  while (PGresult* next = PQgetResult(connection_)) PQclear(next);
  if (answer.status() == PGRES_COMMAND_OK) return;
  if (PQstatus(connection_) != CONNECTION_OK) throw_lost(without_newlines(PQerrorMessage(connection_)));
  throw_refusal(answer.get());
}

void Session::abandon_copy() noexcept {
  PQputCopyEnd(connection_, "given up");
  while (PGresult* next = PQgetResult(connection_)) {
    const bool goes_on = PQresultStatus(next) == PGRES_COPY_IN;
    PQclear(next);
    if (goes_on) break;
  }
}

namespace {

bool ready_and_blocking(Session& session) {
  session.make_ready();
  return session.set_nonblocking(false);
}

}  // namespace

Whole::Whole(Session& session, Statements statements)
    : session_(session), was_nonblocking_(ready_and_blocking(session)) {
  if (session_.in_transaction()) {
    session_.query("SAVEPOINT libtask_client");
    is_savepoint_ = true;
  } else if (statements == Statements::several) {
    session_.query("BEGIN");
    is_transaction_ = true;
  }
}

void Whole::commit() {
  if (is_savepoint_) session_.query("RELEASE SAVEPOINT libtask_client");
  if (is_transaction_) session_.query("COMMIT");
  is_savepoint_ = is_transaction_ = false;
}

Whole::~Whole() {
  try {
    if (is_savepoint_) {
      session_.query("ROLLBACK TO SAVEPOINT libtask_client");
      session_.query("RELEASE SAVEPOINT libtask_client");
    }
    if (is_transaction_) session_.query("ROLLBACK");
  } catch (const DatabaseError&) {
    // The connection is gone, and the transaction with it: the exception that brought us here says so.
  }
  session_.set_nonblocking(was_nonblocking_);
}

}  // namespace libtask::detail
