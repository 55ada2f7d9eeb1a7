// The page that `postpone status` prints. Pure. For .cc files of this room only, since it brings
// nlohmann-json along.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cli/screen/terminal.h"

namespace postpone::cli {

// One page, for people, about a supervisor's answer to /status. Lists are cut to the height of the screen,
// and then say how many rows are left out.
std::string status_page(const nlohmann::json& status, ScreenSize size, bool coloured = false);

}  // namespace postpone::cli
