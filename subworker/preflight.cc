#include "subworker/preflight.h"

#include <spdlog/spdlog.h>

#include <optional>
#include <thread>

#include "sql/outage.h"
#include "sql/schema.h"
#include "subworker/describe.h"
#include "subworker/periodic.h"
#include "subworker/signals.h"
#include "sys/backoff.h"
#include "sys/log.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

bool tasks_are_good(const config::Config& config) {
  bool good = true;
  Periodic periodic;
  for (const config::Group& group : config.groups) {
    try {
      periodic.add(describe(group));
    } catch (const std::runtime_error& error) {
      spdlog::error("[[group]] \"{}\": {}", group.name, error.what());
      good = false;
    }
  }
  return good;
}

// Nothing when the server cannot be reached.
std::optional<std::string> look_at_schema(const sql::ConnectOptions& options, sql::Outage& outage) {
  try {
    return sql::explain(sql::check_schema(options));
  } catch (const sql::DatabaseError& error) {
    const bool passing = error.remedy() != sql::Remedy::bug && error.remedy() != sql::Remedy::conflict;
    if (!passing) return std::string(error.what());
    if (const auto line = outage.failed(error.what(), sql::Outage::Clock::now()); !line.empty())
      sys::log_of(sys::Component::database).warn("database: {}", line);
    return std::nullopt;
  }
}

}  // namespace

board::SubWorkerExit preflight(const config::Config& config, const Leash& leash, LogRotation& rotation) {
  if (!tasks_are_good(config)) return board::SubWorkerExit::bad_task;
  sql::ConnectOptions options;
  options.url = config.database.url;
  options.application_name = "postpone preflight";
  options.connect_timeout = config.database.connect_timeout;
  options.statement_timeout = config.database.statement_timeout;
  sys::Backoff backoff(100ms, 2s);
  sql::Outage outage;
  while (requests_to_leave() == 0 && !leash.supervisor_gone()) {
    rotation.look();
    if (const auto problem = look_at_schema(options, outage)) {
      if (problem->empty()) return board::SubWorkerExit::drained;
      spdlog::error("{}", *problem);
      return board::SubWorkerExit::bad_schema;
    }
    std::this_thread::sleep_for(backoff.next(sys::chance()));
  }
  return board::SubWorkerExit::internal_error;
}

}  // namespace postpone::subworker
