// When schedules tick next.
#pragma once

#include <optional>

#include "sql/fleet.h"

namespace postpone::web {

// Supervisors announce theirs every five minutes.
bool is_served(const sql::FleetSchedule& schedule);

// Nothing when it does not tick: it is paused, or no supervisor serves it; or this host lacks the time zone. Pure.
std::optional<sql::DatabaseTime> next_tick(const sql::FleetSchedule& schedule, sql::DatabaseTime now);

}  // namespace postpone::web
