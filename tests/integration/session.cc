#include "tests/integration/session.h"

#include <chrono>
#include <thread>

namespace postpone::tests {
namespace {

using ResultHandle = std::unique_ptr<PGresult, decltype(&PQclear)>;

std::string field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text == nullptr ? "" : text;
}

std::string row_text(const PGresult* result, int row) {
  std::string text;
  for (int column = 0; column < PQnfields(result); ++column) {
    if (column > 0) text += '|';
    text += PQgetisnull(result, row, column) != 0 ? "∅" : PQgetvalue(result, row, column);
  }
  return text;
}

Values values_of(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) throw SqlError(result);
  Values values;
  for (int row = 0; row < PQntuples(result); ++row) values.push_back(row_text(result, row));
  return values;
}

}  // namespace

SqlError::SqlError(const PGresult* result)
    : std::runtime_error(PQresultErrorMessage(result)),
      sqlstate(field(result, PG_DIAG_SQLSTATE)),
      message(field(result, PG_DIAG_MESSAGE_PRIMARY)),
      constraint(field(result, PG_DIAG_CONSTRAINT_NAME)),
      detail(field(result, PG_DIAG_MESSAGE_DETAIL)) {}

Session::Session(const TestDatabase& database) : connection_(PQconnectdb(database.url().c_str()), &PQfinish) {
  if (PQstatus(connection_.get()) != CONNECTION_OK)
    throw std::runtime_error(PQerrorMessage(connection_.get()));
  PQsetNoticeProcessor(
      connection_.get(), [](void*, const char*) {}, nullptr);
}

Values Session::rows(const std::string& sql, const std::vector<Param>& params) {
  if (params.empty()) return values_of(ResultHandle(PQexec(connection_.get(), sql.c_str()), &PQclear).get());
  std::vector<Oid> types;
  std::vector<const char*> texts;
  for (const Param& param : params) {
    types.push_back(param.type);
    texts.push_back(param.value ? param.value->c_str() : nullptr);
  }
  const ResultHandle result(PQexecParams(connection_.get(), sql.c_str(), static_cast<int>(params.size()),
                                         types.data(), texts.data(), nullptr, nullptr, 0),
                            &PQclear);
  return values_of(result.get());
}

std::string Session::value(const std::string& sql, const std::vector<Param>& params) {
  const Values values = rows(sql, params);
  return values.empty() ? "" : values.front();
}

void Session::send(const std::string& sql) {
  if (PQsendQuery(connection_.get(), sql.c_str()) == 0)
    throw std::runtime_error(PQerrorMessage(connection_.get()));
}

Values Session::receive() {
  ResultHandle last(nullptr, &PQclear);
  while (PGresult* result = PQgetResult(connection_.get())) last.reset(result);
  return values_of(last.get());
}

std::vector<Note> Session::notes() {
  std::vector<Note> notes;
  PQconsumeInput(connection_.get());
  while (PGnotify* notify = PQnotifies(connection_.get())) {
    notes.push_back({notify->relname, notify->extra});
    PQfreemem(notify);
  }
  return notes;
}

void wait_until_blocked(const TestDatabase& database, const Session& session) {
  Session observer(database);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (observer.value("SELECT cardinality(pg_blocking_pids(" + std::to_string(session.pid()) + "))") ==
         "0") {
    if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("the session is not blocked");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace postpone::tests
