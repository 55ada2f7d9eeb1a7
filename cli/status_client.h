// A client of a supervisor's status socket.
#pragma once

#include <string>

namespace postpone::cli {

// The socket of that name, else [status] socket of the configuration file. Throws Failure when neither is
// given, or the file is wrong or names none.
std::string status_socket(const std::string& socket, const std::string& config_file);

// The body of GET `target`. Throws Failure: unreachable when nobody listens there, or the answer does not
// come within five seconds or is no such page.
std::string get(const std::string& socket, const std::string& target);

}  // namespace postpone::cli
