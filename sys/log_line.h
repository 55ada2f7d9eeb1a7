// How a log line looks. For sys/log.cc only; spdlog's types come along.
#pragma once

#include <spdlog/formatter.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sys/log.h"

namespace postpone::sys {

enum class LogForm {
  text,     // for people
  journal,  // the same for the journal, which knows the time: a priority ("<4>") instead
  json,     // one object a line
};

// What stands in a line besides its message; changes between lines.
struct LogState {
  LogIdentity identity;
  std::optional<LoggedJob> job;
  std::string_view stream;  // of a line that a task has written; else empty
  std::vector<LogField> fields;
};

// REQUIRES: `state` lives longer. With `priorities` JSON lines begin with a priority too.
std::unique_ptr<spdlog::formatter> make_log_formatter(LogForm form, bool priorities, const LogState& state);

}  // namespace postpone::sys
