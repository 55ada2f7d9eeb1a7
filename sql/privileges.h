// Whether a role may do what a supervisor's processes do.
#pragma once

#include <string>

#include "sql/connect_options.h"

namespace postpone::sql {

// One line that names what the role of this url lacks to run jobs, and the GRANT that mends it; empty when it
// lacks nothing, or Postpone's tables are not there. Reads the catalogues only. Throws DatabaseError.
std::string lacking_privileges(const ConnectOptions& options);

// Connects, and leaves. Throws DatabaseError.
void try_connection(const ConnectOptions& options);

}  // namespace postpone::sql
