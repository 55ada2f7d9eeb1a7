// Asks a task executable what it has: runs it with --describe.
#pragma once

#include <functional>

#include "config/config.h"
#include "libtask/wire/description.h"

namespace postpone::subworker {

// Throws BadTask, with one line that names the executable, what is wrong and what to do; when there was no
// answer, TaskNotAsked, which is a BadTask. The answer may take half a minute, in which `waiting` is called
// every 100 ms at least; what `waiting` throws is passed on.
libtask::wire::Description describe(const config::Group& group, const std::function<void()>& waiting = {});

}  // namespace postpone::subworker
