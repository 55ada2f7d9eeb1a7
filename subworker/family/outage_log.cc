#include "subworker/family/outage_log.h"

#include "sys/log.h"
#include "sys/logger.h"

namespace postpone::subworker {

void OutageLog::failed(const std::string& reason) {
  const std::string line = outage_.failed(reason, sql::Outage::Clock::now());
  if (!line.empty()) sys::log_of(sys::Component::database).warn("database: {}", line);
}

void OutageLog::ended() {
  const std::string line = outage_.ended(sql::Outage::Clock::now());
  if (!line.empty()) sys::log_of(sys::Component::database).info("the database {}", line);
}

}  // namespace postpone::subworker
