// Which variables of the environment a task process does not get: those that lead to the database, and those that
// the service manager means for the supervisor.
#pragma once

#include <string>

namespace postpone::config {

bool is_private_variable(const std::string& name);

}  // namespace postpone::config
