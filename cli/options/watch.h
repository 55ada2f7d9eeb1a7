// --watch [SECONDS]: shows the same list again and again, until Ctrl-C.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace postpone::cli {

class Command;
struct Invocation;

struct Watch {
  std::optional<std::chrono::duration<double>> interval;  // nothing: show it once
};

// Adds --watch (without a number: every two seconds), and makes `command` print the page that `draw` returns,
// which consists of whole lines. With --watch it does so again after each interval: on a terminal in place of
// the page before, else below it, with an empty line between. `draw` has to connect anew each time: when the
// database cannot be reached for the first page, the command ends; later the error takes the place of a page.
// `invocation` must outlive the parser; `draw` keeps `watch` alive.
void add_watched_page(Command& command, Invocation& invocation, Watch& watch,
                      std::function<std::string()> draw);

}  // namespace postpone::cli
