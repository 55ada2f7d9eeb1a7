// Attempts per minute over the last hour: what went well above a line, and what did not below it, on a scale of its own.
#pragma once

#include "sql/fleet.h"
#include "web/html/html.h"

namespace postpone::web {

Html last_hour(const sql::FleetFigures& figures);

}  // namespace postpone::web
