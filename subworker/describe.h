// Asks a task executable what it has: runs it with --describe.
#pragma once

#include "config/config.h"
#include "libtask/wire/description.h"

namespace postpone::subworker {

// Throws BadTask with one line that names the executable, what is wrong and what to do.
libtask::wire::Description describe(const config::Group& group);

}  // namespace postpone::subworker
