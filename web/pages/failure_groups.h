// The groups of failures, as the overview shows the largest of them.
#pragma once

#include "sql/fleet.h"
#include "web/html/html.h"

namespace postpone::web {

Html failing_most(const sql::FailuresPage& page);  // nothing where nothing failed

}  // namespace postpone::web
