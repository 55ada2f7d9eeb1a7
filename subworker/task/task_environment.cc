#include "subworker/task/task_environment.h"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "config/private_variables.h"
#include "sys/process.h"

namespace postpone::subworker {

std::vector<std::pair<std::string, std::string>> task_environment(const config::Group& group) {
  auto environment = sys::current_environment(config::is_private_variable);
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
