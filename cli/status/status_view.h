// What `postpone status` and `postpone top` show of the JSON that a supervisor's status socket gives. Pure.
// For .cc files of this room only, since it brings nlohmann-json along.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "cli/screen/terminal.h"

namespace postpone::cli {

// One page, for people. Within a height lists are cut, and say so.
std::string status_page(const nlohmann::json& status, ScreenSize size, bool coloured = false);

enum class TopSort { elapsed, memory, cpu, jobs, task, slot };
std::optional<TopSort> top_sort_of(char key);  // e m c j t s

struct TopOptions {
  TopSort sort = TopSort::elapsed;
  bool with_keys = false;  // a last line that names the keys
  std::string trouble;     // why this is not the present; goes first
  bool coloured = false;
};

// Sub-workers, one a line, below a summary. `before`: an earlier answer, for what is counted by the second;
// null = none. Within a height exactly so many lines, or less.
std::string top_page(const nlohmann::json& status, const nlohmann::json& before, const TopOptions& options,
                     ScreenSize size);

}  // namespace postpone::cli
