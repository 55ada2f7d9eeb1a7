// Where and with what something was measured.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace postpone::bench {

// {"machine": {…}, "versions": {…}, "server": {…}, "date": "2026-11-29"}. "server" has the settings that are not
// the server's defaults, and those that everybody asks for.
nlohmann::json surroundings();

}  // namespace postpone::bench
