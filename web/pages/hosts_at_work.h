// The workers as the overview shows them.
#pragma once

#include <cstdint>

#include "sql/fleet.h"
#include "web/html/html.h"

namespace postpone::web {

Html hosts_at_work(const sql::WorkersPage& page);  // nothing where there is none
std::int64_t silent_workers(const sql::WorkersPage& page);
std::int64_t stalled_jobs(const sql::WorkersPage& page);

}  // namespace postpone::web
