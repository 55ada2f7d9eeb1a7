#include "subworker/task/task_environment.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

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
  const auto set = [&environment](const std::string& name, const std::string& value) {
    std::erase_if(environment, [&](const auto& pair) { return pair.first == name; });
    environment.emplace_back(name, value);
  };
  if (const auto user = task_user(group)) {
    set("HOME", user->home);
    set("USER", user->name);
    set("LOGNAME", user->name);
  }
  for (const auto& [name, value] : group.environment) set(name, value);
  return environment;
}

std::optional<sys::User> task_user(const config::Group& group) {
  if (group.user.empty()) return std::nullopt;
  std::optional<sys::User> user;
  try {
    user = sys::find_user(group.user);
  } catch (const std::system_error& error) {  // whatever the reason: a directory service may answer later
    throw sys::SpawnError(error.what(), EAGAIN);
  }
  if (!user) throw sys::SpawnError("there is no user \"" + group.user + "\" on this host", ENOENT);
  return user;
}

}  // namespace postpone::subworker
