// What an author has registered for the beginning and the end of a task process.
#pragma once

#include "registry.h"

namespace libtask::detail {

// Runs the set_up() functions in their order, until one throws: then one line on stderr says which exception, and
// the result is false.
bool set_up(const Registry& registry);
// Runs all tear_down() functions, the last one first. False, and a line for each, when some have thrown.
bool tear_down(const Registry& registry);

}  // namespace libtask::detail
