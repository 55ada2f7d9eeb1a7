#include "config/private_variables.h"

#include <algorithm>
#include <array>

namespace postpone::config {

bool is_private_variable(const std::string& name) {
  static constexpr std::array prefixes = {"PG", "POSTPONE_"};
  static constexpr std::array names = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS",
                                       "LISTEN_PID"};
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const char* prefix) { return name.starts_with(prefix); }) ||
         std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace postpone::config
