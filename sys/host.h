// The name of this host.
#pragma once

#include <string>

namespace postpone::sys {

// As uname(2) has it; never empty.
std::string host_name();

}  // namespace postpone::sys
