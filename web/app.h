// The program: a loop that speaks HTTP in one thread, and a pool that asks the database in a few others.
#pragma once

#include "web/command_line.h"

namespace postpone::web {

// Serves until SIGTERM or SIGINT. Throws ListenError, and std::system_error.
void serve(const Arguments& arguments);

}  // namespace postpone::web
