#include "subworker/family/log_follower.h"

#include "subworker/family/signals.h"
#include "sys/log.h"

namespace postpone::subworker {

LogFollower::LogFollower(const board::Board& board)
    : header_(board.header()), epoch_(header_.log_epoch.load()), requests_(requests_to_reopen_log()) {
  follow();
}

void LogFollower::look() {
  const std::uint32_t epoch = header_.log_epoch.load();
  const int requests = requests_to_reopen_log();
  if (epoch == epoch_ && requests == requests_) return;
  epoch_ = epoch;
  requests_ = requests;
  follow();
}

void LogFollower::follow() const {
  sys::reopen_log();
  if (const std::uint64_t levels = header_.log_levels.load(); levels != 0) sys::apply_levels(levels);
}

}  // namespace postpone::subworker
