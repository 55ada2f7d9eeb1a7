#include "subworker/housekeeper/connection.h"

#include <utility>

namespace postpone::subworker {

using namespace std::chrono_literals;

HousekeeperConnection::HousekeeperConnection(sql::ConnectOptions options)
    : options_(std::move(options)), backoff_(50ms, 400ms), refused_(500ms, 10s) {}

void HousekeeperConnection::open() {
  manager_.emplace(sql::JobManager::connect(options_));
  is_rehearsed_ = false;
}

// A refusal, by a trigger of the application say, is for the rescue itself to meet.
void HousekeeperConnection::rehearse() {
  if (std::exchange(is_rehearsed_, true)) return;
  try {
    manager_->rehearse_rescue();
  } catch (const sql::DatabaseError& error) {
    if (error.remedy() == sql::Remedy::reconnect) throw;
  }
}

std::chrono::milliseconds HousekeeperConnection::failed(const sql::DatabaseError& error) {
  if (error.remedy() != sql::Remedy::retry) manager_.reset();
  outage_.failed(error.what());
  const bool refused = !manager_ && error.remedy() == sql::Remedy::bug;
  return (refused ? refused_ : backoff_).next(sys::chance());
}

void HousekeeperConnection::works() {
  backoff_.reset();
  refused_.reset();
  outage_.ended();
}

}  // namespace postpone::subworker
