#include "web/database.h"

#include "sql/schema.h"

namespace postpone::web {
namespace {

using namespace std::chrono_literals;

constexpr auto kConnectTime = 3s;
constexpr auto kStatementTime = 2s;

}  // namespace

Database::Database(DatabaseOptions options, const std::atomic<bool>& stopping)
    : options_(std::move(options)), stopping_(stopping) {}

sql::ConnectOptions Database::connect_options() const {
  sql::ConnectOptions options;
  options.url = options_.url;
  options.application_name = "postpone-web";
  options.connect_timeout = kConnectTime;
  options.statement_timeout = kStatementTime;
  options.on_tick = [&stopping = stopping_] {
    if (stopping) throw Unavailable("postpone-web is being stopped");
  };
  return options;
}

sql::Fleet& Database::fleet() {
  if (!fleet_) fleet_ = sql::Fleet::connect(connect_options(), options_.hide_arguments);
  return *fleet_;
}

void Database::give_up(const sql::DatabaseError& error) {
  const std::string state = error.sqlstate();
  if (error.remedy() == sql::Remedy::reconnect) {
    fleet_.reset();
    throw Unavailable(std::string("The database does not answer: ") + error.what());
  }
  if (state == "57014")
    throw Unavailable(
        "The database took longer than 2 s for this page, and was stopped. Narrow down what it shows.");
  if (state.starts_with("42")) {
    std::string why;
    try {
      why = sql::explain(sql::check_schema(connect_options()));
    } catch (const sql::DatabaseError&) {
      // What was said first is said.
    }
    if (!why.empty()) throw Unavailable(why);
  }
  throw Unavailable(error.what());
}

}  // namespace postpone::web
