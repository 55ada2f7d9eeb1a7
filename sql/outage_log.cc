#include "sql/outage_log.h"

#include <utility>

#include "sys/log.h"
#include "sys/logger.h"

namespace postpone::sql {

OutageLog::OutageLog(std::string connection) : connection_(std::move(connection)) {}

void OutageLog::failed(const std::string& reason) {
  const std::string line = outage_.failed(reason, Outage::Clock::now());
  if (line.empty()) return;
  sys::log_of(sys::Component::database).warn("{}: {}", connection_.empty() ? "database" : connection_, line);
}

void OutageLog::ended() {
  const std::string line = outage_.ended(Outage::Clock::now());
  if (line.empty()) return;
  sys::log_of(sys::Component::database)
      .info("{}the database {}", connection_.empty() ? "" : connection_ + ": ", line);
}

}  // namespace postpone::sql
