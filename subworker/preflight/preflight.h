// What is checked before the supervisor starts anything, or takes a new configuration, in a process of its
// own, so that the supervisor stays without SQL: every task executable describes itself, and the database has
// the schema that this program needs.
#pragma once

#include "board/family.h"
#include "config/config.h"
#include "subworker/family/leash.h"
#include "subworker/family/log_follower.h"

namespace postpone::subworker {

enum class Occasion {
  start,
  // The family works on this database already, and goes on when somebody has installed what a newer version
  // adds: an upgrade begins so.
  reload,
};

// Waits for a database that cannot be reached, and says so; gives up when told to leave, and kills what it
// was asking then. Everything else that is wrong stands in the log, one line each, and was said over the
// leash, when this returns a status other than `drained`.
board::SubWorkerExit preflight(const config::Config& config, Occasion occasion, const Leash& leash,
                               LogFollower& rotation);

}  // namespace postpone::subworker
