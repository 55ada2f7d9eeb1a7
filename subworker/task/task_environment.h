// The environment of everything that is the user's program: this process's own, without the way into the
// database and without what is meant for the supervisor alone, and with what the group's configuration adds.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "sys/process.h"

namespace postpone::subworker {

std::vector<std::pair<std::string, std::string>> task_environment(const config::Group& group);

// The user that task processes of this group run as; nothing = ours. Throws sys::SpawnError when there is no
// such user, or with EAGAIN when the host cannot say now.
std::optional<sys::User> task_user(const config::Group& group);

}  // namespace postpone::subworker
