// The pages that `postpone top` shows. Pure. For .cc files of this room only, since it brings nlohmann-json
// along.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "cli/screen/terminal.h"

namespace postpone::cli {

enum class TopSort { elapsed, memory, cpu, jobs, task, slot };
std::optional<TopSort> top_sort_of(char key);  // e m c j t s

struct TopOptions {
  TopSort sort = TopSort::elapsed;
  bool with_keys = false;  // end with a line that names the keys
  std::string trouble;     // begin with this line: why the page is out of date
  bool coloured = false;
};

// A summary, and below it a line for each sub-worker, from a supervisor's answer to /status. `before` is an
// earlier answer, or null: what a page shows per second it counts between the two. Of a screen the page takes
// the whole height at most.
std::string top_page(const nlohmann::json& status, const nlohmann::json& before, const TopOptions& options,
                     ScreenSize size);

}  // namespace postpone::cli
