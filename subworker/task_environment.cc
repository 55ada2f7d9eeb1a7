#include "subworker/task_environment.h"

#include <algorithm>
#include <array>

#include "sys/process.h"

namespace postpone::subworker {
namespace {

bool is_private(const std::string& name) {
  static constexpr std::array prefixes = {"PG", "POSTPONE_"};
  static constexpr std::array names = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS",
                                       "LISTEN_PID"};
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const char* prefix) { return name.starts_with(prefix); }) ||
         std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::vector<std::pair<std::string, std::string>> task_environment(const config::Group& group) {
  auto environment = sys::current_environment(is_private);
  for (const auto& [name, value] : group.environment) {
    std::erase_if(environment, [&, &name = name](const auto& pair) { return pair.first == name; });
    environment.emplace_back(name, value);
  }
  return environment;
}

}  // namespace postpone::subworker
