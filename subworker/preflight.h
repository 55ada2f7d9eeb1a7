// What is checked before the supervisor starts anything, in a process of its own, so that the supervisor
// stays without SQL: every task executable describes itself, and the database has the schema that this
// program needs.
#pragma once

#include "board/family.h"
#include "config/config.h"
#include "subworker/leash.h"
#include "subworker/log_rotation.h"

namespace postpone::subworker {

// Waits for a database that cannot be reached, and says so; gives up when told to leave. Everything else that
// is wrong stands in the log, one line each, when this returns a status other than `drained`.
board::SubWorkerExit preflight(const config::Config& config, const Leash& leash, LogRotation& rotation);

}  // namespace postpone::subworker
