#include "tests/torture/rows.h"

#include <libpq-fe.h>

#include <utility>

namespace postpone::torture {
namespace {

using Result = std::unique_ptr<PGresult, decltype(&PQclear)>;

std::vector<Row> rows_of(const PGresult* result) {
  std::vector<Row> rows;
  for (int i = 0; i < PQntuples(result); ++i) {
    Row& row = rows.emplace_back();
    for (int column = 0; column < PQnfields(result); ++column)
      row.emplace_back(PQgetvalue(result, i, column));
  }
  return rows;
}

}  // namespace

struct Database::Connection {
  explicit Connection(const std::string& url) : handle(PQconnectdb(url.c_str()), &PQfinish) {
    PQsetNoticeProcessor(
        handle.get(), [](void*, const char*) {}, nullptr);
  }
  std::unique_ptr<PGconn, decltype(&PQfinish)> handle;
};

Database::Database(std::string url) : url_(std::move(url)) {}
Database::~Database() = default;

std::vector<Row> Database::rows(const std::string& sql) {
  if (!connection_ || PQstatus(connection_->handle.get()) != CONNECTION_OK)
    connection_ = std::make_unique<Connection>(url_);
  PGconn* handle = connection_->handle.get();
  if (PQstatus(handle) != CONNECTION_OK) throw SqlFailed(PQerrorMessage(handle));
  const Result result(PQexec(handle, sql.c_str()), &PQclear);
  const ExecStatusType status = PQresultStatus(result.get());
  if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) return rows_of(result.get());
  const std::string message = PQerrorMessage(handle);
  connection_.reset();  // a transaction may be open
  throw SqlFailed(message);
}

std::string Database::value(const std::string& sql) {
  const auto found = rows(sql);
  return found.empty() ? "" : found.front().front();
}

void read_tables(Database& database, History& history) {
  for (const Row& row :
       database.rows("SELECT id, task_name, lock, priority, status, attempts, worker_id IS NOT NULL, "
                     "coalesce((args ->> 'parent')::bigint, 0), coalesce((args ->> 'followers')::int, 0) "
                     "FROM procrastinate_jobs ORDER BY id"))
    history.jobs.push_back({std::stoll(row[0]), row[1], row[2], std::stoi(row[3]), row[4], std::stoi(row[5]),
                            row[6] == "t", std::stoll(row[7]), std::stoi(row[8])});
  for (const Row& row :
       database.rows("SELECT job_id, attempt, cause FROM postpone_attempts ORDER BY job_id, attempt"))
    history.attempts.push_back({std::stoll(row[0]), std::stoi(row[1]), row[2]});
  for (const Row& row :
       database.rows("SELECT id, job_id, type, (extract(epoch FROM at) * 1000000)::bigint, "
                     "(extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint "
                     "FROM procrastinate_events WHERE type <> 'scheduled' ORDER BY id"))
    history.events.push_back(
        {std::stoll(row[0]), std::stoll(row[1]), row[2], std::stoll(row[3]), std::stoll(row[4])});
}

std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? "''" : std::string(1, c);
  return result + "'";
}

}  // namespace postpone::torture
