// The panels of a job's page that tell its history.
#pragma once

#include "sql/fleet.h"
#include "web/html/html.h"

namespace postpone::web {

Html timeline_panel(const sql::JobPage& page);
Html attempts_panel(const sql::JobPage& page);
Html events_panel(const sql::JobPage& page);

}  // namespace postpone::web
