// Where log lines go and what stands in each: time, level, role, pid. Everything else uses spdlog directly.
#pragma once

#include <string>

namespace postpone::sys {

struct LogOptions {
  std::string level = "info";   // trace, debug, info, warning, error
  std::string format = "text";  // text (for people) or json (one object a line)
  std::string role;             // "supervisor", "sub-worker kitchen/3", "housekeeper"
};

// Sets the process-wide spdlog logger: to stderr, one line a message, flushed line by line.
void init_log(const LogOptions& options);

}  // namespace postpone::sys
