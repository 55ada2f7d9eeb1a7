// The longest lines of locks, as the overview shows them.
#pragma once

#include "sql/fleet.h"
#include "web/html/html.h"

namespace postpone::web {

Html longest_lines(const sql::LocksPage& page);  // nothing where no lock is held

}  // namespace postpone::web
