// The overview of a database in which no job was ever created.
#pragma once

#include "web/page.h"

namespace postpone::web {

Page first_run(const sql::FleetFigures& figures, const sql::WorkersPage& workers);

}  // namespace postpone::web
