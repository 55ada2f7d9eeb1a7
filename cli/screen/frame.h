// Redraws a page in place, on a terminal that keeps its scroll-back (--watch). FullScreen (screen/terminal.h)
// is for programs that take the whole screen.
#pragma once

#include <cstddef>
#include <string>

#include "cli/screen/terminal.h"

namespace postpone::cli {

struct Frame {
  std::string text;       // to be written to the terminal
  std::size_t lines = 0;  // how many lines of the terminal the page takes; the cursor ends below them
};
// Moves the cursor up by the lines of the page before, to its beginning, and writes this page over it. Lines
// are cut to the width of the terminal: a line that wraps would take two, and the next page would begin too
// low. (Switching wrapping off instead would leave it off when Ctrl-C comes at the wrong moment.) When the
// page is higher than the terminal, the last line says how many lines are left out. Pure.
Frame frame_over(std::size_t lines_before, const std::string& page, ScreenSize size);

}  // namespace postpone::cli
