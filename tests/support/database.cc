#include "tests/support/database.h"

#include <libpq-fe.h>

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <sstream>
#include <stdexcept>

#include "sql/schema.h"

namespace postpone::tests {
namespace {

using Connection = std::unique_ptr<PGconn, decltype(&PQfinish)>;
using Result = std::unique_ptr<PGresult, decltype(&PQclear)>;
using ConnectionOptions = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

// Of the session that builds the template. Any number will do that nobody else uses in the database
// `postgres`.
constexpr const char* template_lock = "7310115";

std::string server() {
  const char* url = std::getenv("POSTPONE_TEST_SERVER");
  if (url == nullptr || *url == '\0') {
    throw std::runtime_error(
        "POSTPONE_TEST_SERVER is not set, and this test needs a PostgreSQL server: run it through "
        "scripts/test, or as "
        "scripts/with-postgres --fast COMMAND");
  }
  return url;
}

Connection connect(const std::string& url) {
  Connection connection(PQconnectdb(url.c_str()), &PQfinish);
  if (PQstatus(connection.get()) != CONNECTION_OK) {
    throw std::runtime_error(std::string("test database: ") + PQerrorMessage(connection.get()));
  }
  return connection;
}

std::string run(PGconn* connection, const std::string& sql) {
  const Result result(PQexec(connection, sql.c_str()), &PQclear);
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
    throw std::runtime_error(std::string("test database: ") + PQerrorMessage(connection));
  }
  return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
}

std::string hexadecimal(std::uint64_t number) {
  std::ostringstream text;
  text << std::hex << number;
  return text.str();
}

std::string unique_name() {
  std::random_device random;
  return "postpone_test_" + hexadecimal((std::uint64_t{random()} << 32) | random());
}

// The template for this very schema, so that a server that outlives a build does not hand out the old one. It
// is built under another name first: what bears the final name is complete, whatever became of its builder.
std::string template_database(PGconn* connection) {
  std::string name = "postpone_template_" + hexadecimal(std::hash<std::string>{}(sql::schema_script()));
  const std::string exists = "SELECT 1 FROM pg_database WHERE datname = '" + name + "'";
  if (!run(connection, exists).empty()) return name;

  run(connection, std::string("SELECT pg_advisory_lock(") + template_lock + ")");
  if (run(connection, exists).empty()) {
    const std::string unfinished = name + "_unfinished";
    run(connection, "DROP DATABASE IF EXISTS " + unfinished + " WITH (FORCE)");
    run(connection, "CREATE DATABASE " + unfinished);
    sql::ConnectOptions options;
    options.url = test_server_url(unfinished);
    sql::apply_schema(options);
    // A session that has just been closed may still be on its way out; it must be gone before the renaming.
    run(connection, "ALTER DATABASE " + unfinished + " ALLOW_CONNECTIONS false");
    run(connection,
        "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE datname = '" + unfinished + "'");
    run(connection, "ALTER DATABASE " + unfinished + " RENAME TO " + name);
  }
  run(connection, std::string("SELECT pg_advisory_unlock(") + template_lock + ")");
  return name;
}

std::string quoted(const std::string& value) {
  std::string text = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') text += '\\';
    text += c;
  }
  return text + "'";
}

}  // namespace

std::string test_server_url(const std::string& database) {
  char* error = nullptr;
  const ConnectionOptions options(PQconninfoParse(server().c_str(), &error), &PQconninfoFree);
  if (!options) {
    const std::string reason = error == nullptr ? "out of memory" : error;
    PQfreemem(error);
    throw std::runtime_error("POSTPONE_TEST_SERVER: " + reason);
  }
  std::string url = "dbname=" + quoted(database);
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr || std::string_view(option->keyword) == "dbname") continue;
    url += std::string(" ") + option->keyword + "=" + quoted(option->val);
  }
  return url;
}

TestDatabase::TestDatabase(Schema schema) : name_(unique_name()) {
  const Connection connection = connect(server());
  std::string statement = "CREATE DATABASE " + name_;
  if (schema == Schema::applied) statement += " TEMPLATE " + template_database(connection.get());
  run(connection.get(), statement);
}

TestDatabase::~TestDatabase() {
  try {
    run(connect(server()).get(), "DROP DATABASE IF EXISTS " + name_ + " WITH (FORCE)");
  } catch (const std::exception&) {
    // The server may be gone by the test's own doing; what is left of the database goes with it.
  }
}

std::string TestDatabase::url() const {
  return test_server_url(name_);
}

std::string TestDatabase::execute(const std::string& sql) const {
  const std::lock_guard lock(mutex_);
  const bool used = session_ != nullptr;
  if (!session_) session_ = connect(url());
  auto* const connection = static_cast<PGconn*>(session_.get());
  try {
    return run(connection, sql);
  } catch (const std::runtime_error&) {
    const bool lost = PQstatus(connection) != CONNECTION_OK;
    if (lost) session_.reset();
    // Somebody has ended it while nobody used it.
    if (!lost || !used) throw;
  }
  session_ = connect(url());
  return run(static_cast<PGconn*>(session_.get()), sql);
}

std::string execute(const std::string& url, const std::string& sql) {
  return run(connect(url).get(), sql);
}

}  // namespace postpone::tests
