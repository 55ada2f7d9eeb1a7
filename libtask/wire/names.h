// For error messages: the names to offer to a caller that asked for a task which does not exist.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace libtask::wire {

// What there is instead, as part of a sentence: "it has: dishes.wash, dishes.dry" when there are at most
// three, else "of its 214 tasks these are the nearest: dishes.wash, dishes.dry, dishes.sort".
std::string nearest_tasks(std::string_view wanted, const std::vector<std::string_view>& names);

}  // namespace libtask::wire
