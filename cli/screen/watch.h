// --watch [SECONDS]: the same picture again and again, until somebody interrupts it.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "cli/exit_code.h"

namespace CLI {
class App;
}

namespace postpone::cli {

struct Watch {
  std::optional<std::chrono::duration<double>> interval;  // nothing = once
};

// Adds --watch; without a number it means every two seconds. `watch` must outlive the parser.
void add_watch_option(CLI::App& command, Watch& watch);

// Prints what `draw` returns, whole lines; with --watch again after each interval: on a terminal over the
// picture before, else below it, with an empty line between. A database that cannot be reached any more ends
// the command only at the first picture; later it is told of in the picture's place. So `draw` connects anew
// each time.
ExitCode show(const Watch& watch, const std::function<std::string()>& draw);

}  // namespace postpone::cli
