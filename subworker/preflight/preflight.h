// The preflight: what is checked before the supervisor starts anything, or takes a new configuration. Every
// task executable describes itself, and the database has the schema that this program needs. It is a process
// of its own, so that the supervisor stays without SQL.
#pragma once

#include "board/family.h"
#include "config/config.h"
#include "subworker/family/leash.h"
#include "subworker/family/log_follower.h"

namespace postpone::subworker {

enum class Occasion {
  start,
  // The family works on this database already, and goes on when an upgrade has added there what a newer
  // version needs.
  reload,
};

// Waits for a database that cannot be reached, and says so. When it is ordered to leave, it gives up, and
// kills the task executable that it was asking. Whatever else is wrong stands in the log, one line each, and
// was said over the leash, when this returns a status other than `done`.
board::SubWorkerExit preflight(const config::Config& config, Occasion occasion, const Leash& leash,
                               LogFollower& log_follower);

}  // namespace postpone::subworker
