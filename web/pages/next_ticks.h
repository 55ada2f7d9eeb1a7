// The schedules that tick next, as the overview shows them.
#pragma once

#include "sql/fleet.h"
#include "web/html/html.h"

namespace postpone::web {

Html next_ticks(const sql::SchedulesPage& page);  // nothing where none will

}  // namespace postpone::web
